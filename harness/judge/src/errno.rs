//! Names of errno values.

pub(crate) const EPERM: i32 = 1;
pub(crate) const ENOENT: i32 = 2;
pub(crate) const ESRCH: i32 = 3;
pub(crate) const E2BIG: i32 = 7;
pub(crate) const EBADF: i32 = 9;
pub(crate) const ENOMEM: i32 = 12;
pub(crate) const EACCES: i32 = 13;
pub(crate) const EINVAL: i32 = 22;
/// The kernel does not have the system call.
pub(crate) const ENOSYS: i32 = 38;
pub(crate) const EOPNOTSUPP: i32 = 95;
/// The kernel's own, which user space has no name for.
pub(crate) const ENOTSUPP: i32 = 524;

/// `EINVAL`; `errno 1234` for those without a name here. From 4000 on they are libbpf's own.
pub(crate) fn name(errno: Option<i32>) -> String {
    let Some(errno) = errno else {
        return "no errno".into();
    };
    let name = match errno {
        EPERM => "EPERM",
        ENOENT => "ENOENT",
        ESRCH => "ESRCH",
        5 => "EIO",
        E2BIG => "E2BIG",
        EBADF => "EBADF",
        11 => "EAGAIN",
        ENOMEM => "ENOMEM",
        EACCES => "EACCES",
        14 => "EFAULT",
        16 => "EBUSY",
        17 => "EEXIST",
        19 => "ENODEV",
        EINVAL => "EINVAL",
        24 => "EMFILE",
        28 => "ENOSPC",
        34 => "ERANGE",
        ENOSYS => "ENOSYS",
        61 => "ENODATA",
        84 => "EILSEQ",
        EOPNOTSUPP => "EOPNOTSUPP",
        99 => "EADDRNOTAVAIL",
        110 => "ETIMEDOUT",
        117 => "EUCLEAN",
        ENOTSUPP => "ENOTSUPP",
        4000 => "LIBBPF_ERRNO__LIBELF",
        4001 => "LIBBPF_ERRNO__FORMAT",
        4002 => "LIBBPF_ERRNO__KVERSION",
        4003 => "LIBBPF_ERRNO__ENDIAN",
        4004 => "LIBBPF_ERRNO__INTERNAL",
        4005 => "LIBBPF_ERRNO__RELOC",
        4006 => "LIBBPF_ERRNO__LOAD",
        4007 => "LIBBPF_ERRNO__VERIFY",
        4008 => "LIBBPF_ERRNO__PROG2BIG",
        4009 => "LIBBPF_ERRNO__KVER",
        4010 => "LIBBPF_ERRNO__PROGTYPE",
        _ => return format!("errno {errno}"),
    };
    name.into()
}
