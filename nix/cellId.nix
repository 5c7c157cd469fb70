# The readable id of a cell, such as `execsnoop/debian-12-6.1/x86_64/llvm-22`. `Cell::id` in Rust
# makes the same.
cell:
"${cell.artifact}/${cell.kernel}/${cell.arch}" + (if cell ? llvm then "/llvm-${cell.llvm}" else "")
