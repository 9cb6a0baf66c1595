package discovery

import (
	"path/filepath"
	"runtime"
	"strings"
)

// maxName is the longest name of a plugin.
const maxName = 63

// ValidName reports whether s may name a plugin: [a-z0-9][a-z0-9._-]{0,62}.
func ValidName(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case i > 0 && (c == '.' || c == '_' || c == '-'):
		default:
			return false
		}
	}
	return true
}

// ValidVersion reports whether s may be a plugin's version: 1 to 64 characters
// of letters, digits and .+-_.
func ValidVersion(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for _, c := range s {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.ContainsRune(".+-_", c):
		default:
			return false
		}
	}
	return true
}

// NameOf is the plugin's name that a file's name suggests: slack for slack,
// slack.exe, slack_v1.4.2_linux_amd64 and slack_v1.4.2.tar.gz.
func NameOf(file string) string {
	name := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(file, ".exe"), ".tar.gz"), ".tgz")
	name = strings.TrimSuffix(name, "_"+runtime.GOOS+"_"+runtime.GOARCH)
	if i := strings.LastIndex(name, "_v"); i > 0 && i+2 < len(name) && isDigit(name[i+2]) {
		name = name[:i]
	}
	name = strings.ToLower(name)
	if !ValidName(name) {
		return ""
	}
	return name
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// temporary says why a file of this name is passed over; empty if it is not.
// Copying tools, editors and browsers write to such names before they rename.
func temporary(file string) string {
	if transient(file) {
		return transience(file)
	}
	if archived(file) {
		return ""
	}
	switch ext := strings.ToLower(filepath.Ext(file)); ext {
	case ".sha256", ".minisig", ".sig", ".md", ".txt", ".yaml", ".yml", ".json", ".lock", ".gz", ".zip":
		return "not a program (" + ext + ")"
	}
	return ""
}

// transient reports a name of what is not meant to stay.
func transient(file string) bool { return transience(file) != "" }

func transience(file string) string {
	if strings.HasPrefix(file, ".") || strings.HasPrefix(file, "#") {
		return "a hidden file"
	}
	if strings.HasSuffix(file, "~") {
		return "an editor's backup"
	}
	switch ext := strings.ToLower(filepath.Ext(file)); ext {
	case ".tmp", ".temp", ".part", ".partial", ".swp", ".swx", ".swo", ".filepart", ".crdownload", ".download", ".bak", ".new":
		return "a temporary file (" + ext + ")"
	}
	return ""
}
