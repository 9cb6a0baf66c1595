package discovery

// stamp tells whether a file is still the one that was hashed. Two equal stamps
// taken well after the file's last change mean the same content.
type stamp struct {
	dev, ino     uint64
	size         int64
	mtime, ctime int64 // nanoseconds
}

// changedAt is the latest moment the stamp tells of, in nanoseconds.
func (s stamp) changedAt() int64 { return max(s.mtime, s.ctime) }
