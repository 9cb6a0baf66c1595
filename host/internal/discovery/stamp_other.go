//go:build !linux

package discovery

import (
	"os"
	"reflect"
)

// openFlags are none where the flag's meaning is not the same.
const openFlags = 0

// noFollow is none either: what a walk found to be a link is not opened.
const noFollow = 0

// stampOf has no inode here: size and time of change decide, and the copy that
// runs is verified by digest in any case.
func stampOf(info os.FileInfo) stamp {
	return stamp{size: info.Size(), mtime: info.ModTime().UnixNano()}
}

// owner returns the user that owns a file; -1 if the system does not say.
func owner(info os.FileInfo) int { return number(info, "Uid") }

// group returns the group of a file; -1 if the system does not say.
func group(info os.FileInfo) int { return number(info, "Gid") }

func number(info os.FileInfo, field string) int {
	v := reflect.Indirect(reflect.ValueOf(info.Sys()))
	if v.Kind() != reflect.Struct {
		return -1
	}
	n := v.FieldByName(field)
	if !n.IsValid() || !n.CanUint() {
		return -1
	}
	return int(n.Uint()) //nolint:gosec // an id fits
}
