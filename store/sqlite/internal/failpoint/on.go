//go:build failpoints

package failpoint

import (
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
)

var hits atomic.Int64

// Hit says that the process is at the place, and ends it there if the time has
// come. With a target of 0 it only tells the places on stderr.
func Hit(place string) {
	target, err := strconv.ParseInt(os.Getenv(Variable), 10, 64)
	if err != nil {
		return
	}
	n := hits.Add(1)
	if target != 0 && n != target {
		return
	}
	fmt.Fprintln(os.Stderr, "failpoint", n, place)
	if target == 0 {
		return
	}
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "failpoint:", err)
	}
	select {} // the signal is on its way
}
