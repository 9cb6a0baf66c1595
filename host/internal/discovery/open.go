package discovery

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
)

// worldWritable reports a file that any local user may change.
func worldWritable(info os.FileInfo) bool { return info.Mode().Perm()&0o002 != 0 }

// tooOpen says who may change a file that should not be theirs, or nothing. A group is
// not too many if it is its owner's own, and with TrustDir everything in the directory
// is trusted, which is closed to others.
func (s *Scanner) tooOpen(info os.FileInfo, path string) string {
	switch {
	case worldWritable(info):
		return "can be written by anyone (hint: chmod o-w " + path + ")"
	case s.opts.Trust != TrustDir && info.Mode().Perm()&0o020 != 0 && !ownGroup(info):
		return fmt.Sprintf("can be written by the group %s, which is not its owner's own (hint: chmod g-w %s)", groupName(group(info)), path)
	default:
		return ""
	}
}

// ownGroup reports whether a file's group is its owner's own, where the system tells.
func ownGroup(info os.FileInfo) bool {
	uid, gid := owner(info), group(info)
	if uid < 0 || gid < 0 {
		return true
	}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Gid == strconv.Itoa(gid)
	}
	return uid == gid // a user without a name, as in a container
}

func groupName(gid int) string {
	if g, err := user.LookupGroupId(strconv.Itoa(gid)); err == nil {
		return g.Name
	}
	return strconv.Itoa(gid)
}
