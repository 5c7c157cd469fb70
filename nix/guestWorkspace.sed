# Leaves the members out of the workspace's Cargo.toml that the agent's sources do not have.
s|^members = .*|members = ["guest", "harness/schema"]|
/^default-members = /d
