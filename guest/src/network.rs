//! Brings network devices up, and gives the guest the addresses of QEMU's user networking.
//!
//! The input is a request for a network, and the output is what the kernel refused. Nothing is asked
//! from the network itself: the addresses are the same in every guest.
#![expect(unsafe_code, reason = "ioctls of network devices")]

use std::fs;
use std::io;
use std::mem;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use libc::c_ulong;
use ukci_guest::modules;
use ukci_schema::evidence::Module;
use ukci_schema::userland::user_network::{ADDRESS, DRIVER, GATEWAY, MASK, MODULES, NAME_SERVER};

/// How long the driver may take to find its device.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where C libraries read which server to ask for names.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Brings the loopback device up, as far as the kernel permits it. A distribution has done that
/// before anybody can log in.
pub(crate) fn loopback_up() {
    if let Ok(device) = Device::named("lo") {
        let _ = device.up();
    }
}

/// Loads the driver of the network device.
pub(crate) fn load_driver() -> Vec<Module> {
    // That of the bus is there but in the guest of a shell, which does not connect to the host.
    MODULES.into_iter().flat_map(modules::load).collect()
}

/// Gives the guest the network that QEMU makes for it, after its driver was loaded.
pub(crate) fn user_network_up() -> Result<(), String> {
    let name =
        card().ok_or("the kernel has no driver for the network device (CONFIG_VIRTIO_NET)")?;
    let device = Device::named(&name).map_err(|error| format!("set {name} up: {error}"))?;
    let set = device
        .set(libc::SIOCSIFADDR, ADDRESS)
        .and_then(|()| device.set(libc::SIOCSIFNETMASK, MASK))
        .and_then(|()| device.up())
        .and_then(|()| device.default_route(GATEWAY));
    set.map_err(|error| format!("set {name} up: {error}"))?;
    let _ = fs::create_dir_all("/etc");
    // It may be a link to a file of a service that does not run here.
    let _ = fs::remove_file(RESOLV_CONF);
    fs::write(RESOLV_CONF, format!("nameserver {NAME_SERVER}\n"))
        .map_err(|error| format!("write {RESOLV_CONF}: {error}"))?;
    Ok(())
}

/// The name of the first network device that is one of the machine's.
fn card() -> Option<String> {
    modules::found_by(DRIVER, PATIENCE, || {
        let devices = fs::read_dir("/sys/class/net").into_iter().flatten();
        let mut devices = devices.flatten().map(|device| device.path());
        let path = devices.find(|path| is_of_machine(path))?;
        Some(path.file_name()?.to_str()?.to_owned())
    })
}

fn is_of_machine(path: &Path) -> bool {
    path.join("device").exists()
}

/// A network device, and a socket through which the kernel is asked.
struct Device {
    socket: UdpSocket,
    request: libc::ifreq,
    name: [libc::c_char; libc::IFNAMSIZ],
}

impl Device {
    fn named(name: &str) -> io::Result<Self> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        // SAFETY: a plain C structure, of which zeros are a value.
        let mut request: libc::ifreq = unsafe { mem::zeroed() };
        // The last byte stays zero.
        let room = request.ifr_name.len() - 1;
        for (to, from) in request.ifr_name.iter_mut().take(room).zip(name.bytes()) {
            *to = libc::c_char::try_from(from).unwrap_or_default();
        }
        let name = request.ifr_name;
        Ok(Self {
            socket,
            request,
            name,
        })
    }

    fn ask(&self, what: c_ulong, request: *mut libc::ifreq) -> io::Result<()> {
        // SAFETY: the structure is the one that these requests take, and outlives the call.
        if unsafe { libc::ioctl(self.socket.as_raw_fd(), what as _, request) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    fn up(&self) -> io::Result<()> {
        let mut request = self.request;
        self.ask(libc::SIOCGIFFLAGS, &raw mut request)?;
        // SAFETY: the kernel has set this member.
        unsafe {
            request.ifr_ifru.ifru_flags |= libc::c_short::try_from(libc::IFF_UP).unwrap_or(1);
        };
        self.ask(libc::SIOCSIFFLAGS, &raw mut request)
    }

    /// Makes a setting that is an address.
    fn set(&self, what: c_ulong, address: Ipv4Addr) -> io::Result<()> {
        let mut request = self.request;
        request.ifr_ifru.ifru_addr = socket_address(address);
        self.ask(what, &raw mut request)
    }

    fn default_route(&self, gateway: Ipv4Addr) -> io::Result<()> {
        // SAFETY: a plain C structure, of which zeros are a value.
        let mut route: libc::rtentry = unsafe { mem::zeroed() };
        let mut name = self.name;
        route.rt_dst = socket_address(Ipv4Addr::UNSPECIFIED);
        route.rt_genmask = socket_address(Ipv4Addr::UNSPECIFIED);
        route.rt_gateway = socket_address(gateway);
        route.rt_flags = libc::RTF_UP | libc::RTF_GATEWAY;
        route.rt_dev = name.as_mut_ptr();
        // SAFETY: the structure and the name that it points to outlive the call.
        if unsafe {
            libc::ioctl(
                self.socket.as_raw_fd(),
                libc::SIOCADDRT as _,
                &raw mut route,
            )
        } < 0
        {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

/// An address as the kernel takes it.
fn socket_address(address: Ipv4Addr) -> libc::sockaddr {
    // SAFETY: a plain C structure, of which zeros are a value.
    let mut made: libc::sockaddr = unsafe { mem::zeroed() };
    made.sa_family = libc::sa_family_t::try_from(libc::AF_INET).unwrap_or_default();
    // `struct sockaddr_in`: two bytes of a port, and then the address.
    for (to, from) in made.sa_data[2..].iter_mut().zip(address.octets()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    made
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::{is_of_machine, socket_address};

    #[test]
    fn an_address_lies_where_the_kernel_reads_it() {
        let made = socket_address(Ipv4Addr::new(10, 0, 2, 255));
        assert_eq!(made.sa_family, 2);
        let bytes = made.sa_data.map(|byte| byte.to_ne_bytes()[0]);
        assert_eq!(bytes[..7], [0, 0, 10, 0, 2, 255, 0]);
    }

    #[test]
    fn the_loopback_device_is_no_card() {
        assert!(!is_of_machine("/sys/class/net/lo".as_ref()));
    }
}
