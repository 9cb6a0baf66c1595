//go:build amd64 || arm64

package sandbox

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// grant is a place of the file system and what may be done there.
type grant struct {
	path   string
	access uint64
}

// granted lists what a process may reach beside what is its own.
func granted(k kind, p Policy) []grant {
	out := []grant{{"/dev/null", readFile | writeFile}}
	add := func(access uint64, paths ...string) {
		for _, path := range paths {
			out = append(out, grant{path, access})
		}
	}
	add(readAll, everybody()...)
	if k != static {
		add(readAll|execute, systemPrograms()...)
		add(readAll, systemFiles()...)
		add(readAll|execute, interpreter(k)...)
	}
	add(readAll, p.Reads...)
	return out
}

// everybody lists what a program without libraries needs to find hosts, to trust
// certificates and to tell the time. Private keys may stand beside certificates.
func everybody() []string {
	paths := []string{
		"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/services", "/etc/protocols",
		"/run/systemd/resolve/resolv.conf", "/run/systemd/resolve/stub-resolv.conf",
		"/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/pki/tls/certs", "/etc/pki/tls/cert.pem", "/etc/pki/ca-trust/extracted",
		"/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/etc/ca-certificates/extracted", "/var/lib/ca-certificates",
		"/etc/localtime", "/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/usr/lib/locale/TZ", "/etc/zoneinfo",
		"/etc/mime.types", "/usr/share/mime",
		"/dev/urandom", "/dev/random", "/dev/zero",
		"/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", "/proc/sys/net/core/somaxconn",
	}
	if file := os.Getenv("SSL_CERT_FILE"); file != "" { // handed on to every plugin
		paths = append(paths, file)
	}
	return append(paths, filepath.SplitList(os.Getenv("SSL_CERT_DIR"))...)
}

// systemPrograms lists where libraries and interpreters stand.
func systemPrograms() []string {
	return []string{"/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/nix/store", "/gnu/store"}
}

// systemFiles lists what libraries and interpreters read of the system.
func systemFiles() []string {
	return []string{
		"/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.preload", "/etc/alternatives",
		"/etc/ssl/openssl.cnf", "/etc/pki/tls/openssl.cnf", "/etc/crypto-policies", "/etc/locale.alias", "/etc/passwd", "/etc/group",
		"/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/loadavg", "/proc/version", "/proc/filesystems",
		"/proc/sys/vm/overcommit_memory", "/proc/sys/kernel/random/boot_id", "/sys/devices/system/cpu", "/sys/devices/system/node",
		"/sys/kernel/mm/transparent_hugepage/enabled",
	}
}

// interpreter lists where a script's interpreter stands, if that is not among the
// system's: of the folder that it was installed into, the parts that have a meaning.
func interpreter(k kind) []string {
	var out []string
	for _, path := range k.interpreters() {
		for _, program := range []string{path, resolved(path)} {
			if slices.ContainsFunc(systemPrograms(), func(dir string) bool { return within(program, dir) }) {
				continue
			}
			prefix := filepath.Dir(filepath.Dir(program))
			if filepath.Base(filepath.Dir(program)) != "bin" || prefix == "/" {
				out = append(out, program)
				continue
			}
			for _, part := range []string{"bin", "lib", "lib64", "libexec", "share", "pyvenv.cfg"} {
				out = append(out, filepath.Join(prefix, part))
			}
		}
	}
	return out
}

// resolved is path without symbolic links, as far as it can be followed.
func resolved(path string) string {
	if out, err := filepath.EvalSymlinks(path); err == nil {
		return out
	}
	return filepath.Clean(path)
}

// within reports whether path is dir, or below it.
func within(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}
