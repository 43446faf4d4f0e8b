//! What the process has to reach after its start: folders, devices, ports. Decided here, enforced by [`super::landlock`].

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::capture::SourceAccess;
use crate::config::Settings;
use crate::publish::settings::Broker;

use super::names;

/// What every configuration needs of the system: name resolution, the authorities of TLS, libraries that the C library
/// loads late, what `health` and TensorFlow Lite ask of the machine.
///
/// Folders rather than files, here and below: whoever renews a file puts another one in its place, and a rule holds on
/// to the file that was there. What is secret in them is closed to the daemon's user.
const SYSTEM: [&str; 8] = ["/etc", "/usr", "/lib", "/lib64", "/proc", "/sys", "/dev", "/run/systemd/resolve"];

/// Name resolution turns to TCP when an answer is too long for UDP.
const DNS: u16 = 53;

/// What may be reached, by the names it has in the configuration.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Folders (or single files) that may be read.
    pub read: BTreeSet<PathBuf>,
    /// Folders in which files may be written, made and removed. A missing one is made before it is too late.
    pub write: BTreeSet<PathBuf>,
    /// Whether devices may be opened for writing and controlled. Cameras come back as new nodes: this is all of `/dev`,
    /// as far as the user and systemd's `DeviceAllow=` let the process.
    pub devices: bool,
    /// Ports of TCP, of any host, that may be connected to.
    pub connect: BTreeSet<u16>,
    /// Whether connections come in on a socket that listens already; there will be no other.
    pub accept: bool,
    /// Whether names are resolved, which takes UDP.
    pub resolve: bool,
    /// Whether that also takes the Unix sockets of name services (`names.rs`).
    pub name_services: bool,
    /// Whether the source may be a Unix socket.
    pub stream_socket: bool,
    /// Whether a service manager is told of the daemon's state, by datagrams to a Unix socket.
    pub supervised: bool,
}

impl Access {
    /// What these settings need. `publishes` says whether there is a broker.
    #[must_use]
    pub fn of(settings: &Settings, publishes: bool) -> Self {
        let mut access = Self {
            read: SYSTEM.map(PathBuf::from).into(),
            supervised: std::env::var_os("NOTIFY_SOCKET").is_some(),
            ..Self::default()
        };
        let mut files = vec![settings.path.clone(), PathBuf::from("/etc/resolv.conf")];
        files.extend(settings.mqtt.tls.ca_file.clone());
        files.extend(settings.password_file.clone());
        files.extend(settings.page.iter().filter_map(|page| page.password_file.clone()));
        if let Some(client) = &settings.mqtt.tls.client {
            files.extend([client.certificate_file.clone(), client.key_file.clone()]);
        }
        // Those by which rustls-native-certs lets itself be told of other authorities.
        files.extend(std::env::var_os("SSL_CERT_FILE").map(PathBuf::from));
        access.read.extend(std::env::var_os("SSL_CERT_DIR").iter().flat_map(std::env::split_paths));
        access.read.extend(files.iter().flat_map(|file| folders(file)));
        let models = &settings.models;
        access.read.insert(models.directory.clone());
        // A manifest may be named by its path.
        let blend = models.blend.iter().map(|(name, _)| name);
        let names = [&models.detector, &models.emotion].into_iter().chain(blend).chain(&models.sequences);
        let manifests: Vec<&Path> = names.map(Path::new).collect();
        access
            .read
            .extend(manifests.iter().filter(|name| name.components().count() > 1).flat_map(|m| folders(m)));
        match settings.camera.access() {
            SourceAccess::Devices => access.devices = true,
            SourceAccess::Path(path) => access.read.extend([path]),
            SourceAccess::Folder(path) => {
                access.stream_socket = true;
                access.read.extend(folders(&path));
            }
            SourceAccess::Nothing => {}
        }
        if publishes {
            // One line for each place that may be written.
            access.write.extend(settings.mqtt.durable.iter().map(|durable| durable.directory.clone()));
            access.ports(settings);
        }
        access.accept |= settings.metrics.is_some() || settings.page.is_some();
        access
    }

    fn ports(&mut self, settings: &Settings) {
        let port = match &settings.mqtt.broker {
            Broker::Remote(address) => {
                self.resolve = address.host.parse::<IpAddr>().is_err();
                if self.resolve {
                    self.connect.insert(DNS);
                    self.name_services = names::takes_sockets(&address.host, &names::configuration());
                }
                address.port
            }
            Broker::Embedded => {
                self.accept = true;
                let open = settings.mqtt.listener.as_ref().and_then(|listener| listener.local_addr().ok());
                open.unwrap_or(settings.mqtt.embedded_listen).port()
            }
        };
        self.connect.insert(port);
    }

    /// Whether sockets of IP are needed at all.
    #[must_use]
    pub(super) fn network(&self) -> bool {
        !self.connect.is_empty()
    }

    /// Whether Unix sockets are connected to, other than the service manager's.
    #[must_use]
    pub(super) fn unix_streams(&self) -> bool {
        self.name_services || self.stream_socket
    }

    /// What another configuration would have been left, and this one is not.
    #[must_use]
    pub(super) fn refused(&self) -> Vec<&'static str> {
        let of = [
            (self.devices, "cameras"),
            (!self.write.is_empty(), "writing files"),
            (self.network(), "TCP"),
            (self.accept, "incoming connections"),
            (self.resolve, "UDP"),
            (self.unix_streams() || self.supervised, "Unix sockets"),
        ];
        of.into_iter().filter(|(needed, _)| !needed).map(|(_, what)| what).collect()
    }

    /// The first thing that `wanted` needs of the filter of system calls and this does not give.
    #[must_use]
    pub(super) fn beyond_filter(&self, wanted: &Self) -> Option<String> {
        type Need = (&'static str, fn(&Access) -> bool);
        let needs: [Need; 6] = [
            ("a camera", |access| access.devices),
            ("resolving the broker's name", |access| access.resolve),
            ("a Unix socket, of a name service or of a stream,", Self::unix_streams),
            ("incoming connections", |access| access.accept),
            ("a network", Self::network),
            ("a folder to write to", |access| !access.write.is_empty()),
        ];
        let missing = needs.into_iter().find(|(_, need)| need(wanted) && !need(self));
        missing.map(|(what, _)| what.to_owned())
    }

    /// The first thing that `wanted` needs and this does not give; ports only if they are held to.
    #[must_use]
    pub fn beyond(&self, wanted: &Self, ports: bool) -> Option<String> {
        let readable: Vec<_> = self.read.iter().chain(&self.write).map(|path| real(path)).collect();
        let writable: Vec<_> = self.write.iter().map(|path| real(path)).collect();
        let lies_in = |path: &Path, folders: &[PathBuf]| {
            let path = real(path);
            folders.iter().any(|folder| path.starts_with(folder))
        };
        let missing = |paths: &BTreeSet<PathBuf>, folders: &[PathBuf]| {
            paths.iter().find(|path| !lies_in(path, folders)).map(|path| path.display().to_string())
        };
        let port = |wanted: &BTreeSet<u16>, given: &BTreeSet<u16>| {
            let beyond = wanted.difference(given).next().filter(|_| ports);
            beyond.map(|port| format!("TCP port {port}"))
        };
        let camera = (wanted.devices && !self.devices).then(|| "a camera".to_owned());
        camera
            .or_else(|| missing(&wanted.read, &readable))
            .or_else(|| missing(&wanted.write, &writable))
            .or_else(|| port(&wanted.connect, &self.connect))
    }
}

/// The folder of a file, and that of the file it is a link to: certificates are often such links.
fn folders(file: &Path) -> Vec<PathBuf> {
    let target = std::fs::canonicalize(file).ok();
    let folder = |file: &Path| match file.parent() {
        Some(folder) if folder.as_os_str().is_empty() => PathBuf::from("."),
        // The whole file system, for a file that lies in its root, would be too much.
        Some(folder) if folder.parent().is_some() => folder.to_owned(),
        _ => file.to_owned(),
    };
    [Some(file), target.as_deref()].into_iter().flatten().map(folder).collect()
}

/// A path without links, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let existing = path.ancestors().find_map(|part| Some((part, std::fs::canonicalize(part).ok()?)));
    match existing {
        Some((part, real)) => real.join(path.strip_prefix(part).unwrap_or(Path::new(""))),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;

    fn access(text: &str) -> Access {
        let settings =
            Settings::parse(text, Path::new("/etc/emotiond/emotiond.toml"), &Overrides::default()).unwrap();
        Access::of(&settings, true)
    }

    fn with(mqtt: &str, camera: &str) -> Access {
        access(&format!("site = \"home\"\n[camera]\nsource = \"{camera}\"\n[mqtt]\n{mqtt}\n"))
    }

    const REMOTE: &str = "url = \"mqtts://broker\"";
    const CAMERA: &str = "v4l2:/dev/video0";

    #[test]
    fn ports_are_those_of_the_broker() {
        let remote = with(REMOTE, CAMERA);
        assert_eq!((remote.connect, remote.accept), ([53, 8883].into(), false));
        let addressed = with("url = \"mqtts://[::1]\"", CAMERA);
        assert_eq!((addressed.connect, addressed.resolve), ([8883].into(), false));
        let embedded = with("listen = \"127.0.0.1:1884\"", CAMERA);
        assert_eq!((embedded.connect, embedded.accept), ([1884].into(), true));
    }

    #[test]
    fn a_reload_is_told_what_the_filter_of_system_calls_has_refused() {
        let address = with("url = \"mqtt://192.0.2.1\"", "stream:-");
        let beyond = |mqtt: &str, camera: &str| address.beyond_filter(&with(mqtt, camera));
        assert_eq!(beyond("url = \"mqtt://192.0.2.2\"", "replay:-"), None);
        for (mqtt, camera, words) in [
            ("url = \"mqtt://broker\"", "stream:-", "name"),
            ("url = \"mqtt://broker.local\"", "stream:-", "name"),
            ("url = \"mqtt://192.0.2.1\"", "stream:/run/camera/socket", "a Unix socket"),
            ("listen = \"127.0.0.1:1884\"", "stream:-", "incoming connections"),
            ("url = \"mqtt://192.0.2.1\"", CAMERA, "a camera"),
        ] {
            let beyond = beyond(mqtt, camera).unwrap_or_default();
            assert!(beyond.contains(words), "{beyond:?} for {mqtt}, {camera}");
        }
        assert!(address.refused().contains(&"incoming connections") && !address.refused().contains(&"TCP"));
    }

    #[test]
    fn nothing_is_written_but_the_state_folder_and_devices_only_for_a_camera() {
        let replay = with(REMOTE, "replay:/srv/pictures");
        assert!(replay.write.is_empty() && !replay.devices, "{replay:?}");
        assert!(replay.read.contains(Path::new("/srv/pictures")));
        assert!(with(REMOTE, CAMERA).devices);
        for closed in ["/", "/home", "/root", "/var", "/tmp", "/run"] {
            assert!(!replay.read.contains(Path::new(closed)), "{closed}");
        }
    }

    #[test]
    fn a_reload_may_use_what_the_start_has_kept_and_is_told_what_it_may_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("certificates")).unwrap();
        std::fs::write(path("certificates/new.pem"), "").unwrap();
        std::os::unix::fs::symlink("certificates/new.pem", path("ca.pem")).unwrap();
        let ca = |name: &str| with(&format!("{REMOTE}\nca_file = \"{}\"", path(name).display()), CAMERA);

        let start = ca("ca.pem");
        for same in ["other.pem", "certificates/renewed.pem", "certificates/later/renewed.pem"] {
            assert_eq!(start.beyond(&ca(same), true), None, "{same}");
        }
        let elsewhere = tempfile::tempdir().unwrap();
        let ca_elsewhere =
            with(&format!("{REMOTE}\nca_file = \"{}/ca.pem\"", elsewhere.path().display()), CAMERA);
        let beyond = start.beyond(&ca_elsewhere, true).unwrap();
        assert_eq!(beyond, elsewhere.path().display().to_string());

        let other_port = with("url = \"mqtt://broker:1884\"", CAMERA);
        assert_eq!(start.beyond(&other_port, true).unwrap(), "TCP port 1884");
        assert_eq!(start.beyond(&other_port, false), None, "a kernel that does not hold ports");
        assert_eq!(with(REMOTE, "replay:-").beyond(&with(REMOTE, CAMERA), true).unwrap(), "a camera");
    }
}
