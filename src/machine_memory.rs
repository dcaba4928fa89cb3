//! The memory this process may use: the limit of its control group (cgroup v2 or v1) or of one above it, otherwise
//! what the machine has. Linux only; elsewhere nothing is known.
//!
//! Must not know what the memory is for.

use std::fs;
use std::path::{Path, PathBuf};

/// The memory the process may use, in octets; `None` if nothing is known about the machine.
pub(crate) fn usable() -> Option<u64> {
    memory(Path::new("/"))
}

/// The memory the process may use, in octets; `root` is where `/proc` and `/sys` are.
fn memory(root: &Path) -> Option<u64> {
    let limit = cgroup_limit(root);
    match (machine(root), limit) {
        (Some(machine), Some(limit)) => Some(machine.min(limit)),
        (machine, limit) => machine.or(limit),
    }
}

fn machine(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// The lowest limit of the process's control group and of those above it. Within a container the group's own path
/// is often not there, but the hierarchy begins with the container's group.
fn cgroup_limit(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let limits = text.lines().filter_map(|line| {
        // hierarchy-ID:controllers:path, see cgroups(7); v2 has no controllers.
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        if controllers.is_empty() {
            least(&root.join("sys/fs/cgroup"), path, "memory.max")
        } else if controllers.split(',').any(|controller| controller == "memory") {
            least(&root.join("sys/fs/cgroup/memory"), path, "memory.limit_in_bytes")
        } else {
            None
        }
    });
    limits.min()
}

/// The lowest number in the files of that name from `path` up to the mount point.
fn least(mount: &Path, path: &str, file: &str) -> Option<u64> {
    let relative = PathBuf::from(path.trim_start_matches('/'));
    let read = |directory: &Path| -> Option<u64> {
        let text = fs::read_to_string(mount.join(directory).join(file)).ok()?;
        // `max` means no limit in v2; v1 writes a number that no machine has.
        text.trim().parse().ok()
    };
    relative.ancestors().filter_map(read).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn write(root: &Path, path: &str, content: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    #[test]
    fn the_limit_of_the_group_counts_if_it_is_less_than_the_machine_has() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        assert_eq!(memory(root), None);
        write(
            root,
            "proc/meminfo",
            "MemTotal:       8388608 kB\nMemFree:  1 kB\n",
        );
        assert_eq!(memory(root), Some(8 * GIB));
        write(root, "proc/self/cgroup", "0::/system.slice/akldap.service\n");
        let group = "sys/fs/cgroup/system.slice/akldap.service/memory.max";
        write(root, group, "max\n");
        assert_eq!(memory(root), Some(8 * GIB));
        write(root, group, "536870912\n");
        assert_eq!(memory(root), Some(GIB / 2));
        write(root, "sys/fs/cgroup/system.slice/memory.max", "268435456\n");
        assert_eq!(memory(root), Some(GIB / 4), "a limit above holds too");
        write(root, "proc/meminfo", "MemTotal: 1024 kB\n");
        assert_eq!(memory(root), Some(1 << 20));
    }

    #[test]
    fn in_a_container_the_hierarchy_begins_with_its_group() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(root, "proc/self/cgroup", "0::/\n");
        write(root, "sys/fs/cgroup/memory.max", "536870912\n");
        assert_eq!(memory(root), Some(GIB / 2));
        // Docker on v1 names the path on the host.
        write(
            root,
            "proc/self/cgroup",
            "12:cpu,cpuacct:/docker/ab\n7:memory:/docker/ab\n0::/docker/ab\n",
        );
        write(root, "sys/fs/cgroup/memory.max", "max\n");
        write(root, "sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n");
        assert_eq!(memory(root), Some(GIB));
        write(
            root,
            "sys/fs/cgroup/memory/memory.limit_in_bytes",
            "9223372036854771712\n",
        );
        write(root, "proc/meminfo", "MemTotal: 2097152 kB\n");
        assert_eq!(memory(root), Some(2 * GIB));
    }
}
