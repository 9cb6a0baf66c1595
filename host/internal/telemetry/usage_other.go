//go:build !linux

package telemetry

import "time"

// readUsage is not known here.
func readUsage(string) (memory int64, cpu time.Duration) { return 0, 0 }
