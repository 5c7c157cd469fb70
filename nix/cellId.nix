# A cell's readable identity, as `Cell::id` in Rust: `execsnoop/debian-12-6.1/x86_64/llvm-22`.
cell:
"${cell.artifact}/${cell.kernel}/${cell.arch}" + (if cell ? llvm then "/llvm-${cell.llvm}" else "")
