# Whether a file or directory, named from the root of the tree, is one that an agent is built from.
# Of this workspace the agent depends on `harness/schema` alone, so that a change of the judge or of
# the tool builds no agent again.
{ isSource }:
path:
isSource path
&& (
  builtins.elem path [
    "Cargo.lock"
    "Cargo.toml"
    "harness"
  ]
  || builtins.match "(guest|harness/schema)(/.*)?" path != null
)
