# Makes a plan for `ukci check --plan` from a draft.
{ runCommand, ukciUnwrapped }:
draft:
runCommand "plan-${draft.matrix}.json"
  {
    draft = builtins.toJSON draft;
    passAsFile = [ "draft" ];
    nativeBuildInputs = [ ukciUnwrapped ];
  }
  ''
    ukci plan --draft "$draftPath" --out "$out"
  ''
