package discovery

import (
	"fmt"
	"os"
)

// Trust says what may be executed.
type Trust string

// The trust modes.
const (
	TrustLock   Trust = "lock"   // what plugins.lock names by digest; the default
	TrustSigned Trust = "signed" // what one of the keys signed
	TrustDir    Trust = "dir"    // every program in the directory: for development
)

// CheckDir reports why the plugin directory is not fit for the trust mode: for
// TrustDir it must belong to this user and be writable by nobody else, for
// the others it must not be writable by anyone at all without a sticky bit.
func CheckDir(dir string, trust Trust) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("plugin directory: %w (hint: mkdir %s)", err, dir)
	}
	if !info.IsDir() {
		return fmt.Errorf("plugin directory: %s is no directory", dir)
	}
	if worldWritable(info) && info.Mode()&os.ModeSticky == 0 {
		return fmt.Errorf("plugin directory %s can be written by anyone (hint: chmod o-w %s)", dir, dir)
	}
	if trust != TrustDir {
		return nil
	}
	if uid := owner(info); uid >= 0 && uid != os.Getuid() {
		return fmt.Errorf("plugin directory %s belongs to user %d: trust dir wants it to be yours (hint: use trust: lock)", dir, uid)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("plugin directory %s can be written by others: trust dir executes whatever is in it (hint: chmod go-w %s)", dir, dir)
	}
	return nil
}
