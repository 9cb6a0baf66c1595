package sdk

import (
	"crypto/md5" //nolint:gosec // names things, and guards nothing
	"encoding/hex"
)

// GenerateID returns an id for a thing that the remote system gives none: "gen-"
// and the MD5 of "id-type-timestamp-platform". The parts have to be the same each
// time the thing is read, and none may be empty.
func GenerateID(id, kind, timestamp, platform string) (string, error) {
	for _, part := range []struct{ name, value string }{{"id", id}, {"type", kind}, {"timestamp", timestamp}, {"platform", platform}} {
		if part.value == "" {
			return "", invalid("generate id: the %s is empty", part.name)
		}
	}
	sum := md5.Sum([]byte(id + "-" + kind + "-" + timestamp + "-" + platform)) //nolint:gosec // as said
	return "gen-" + hex.EncodeToString(sum[:]), nil
}
