package runner

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
)

// place tells a segment by where the next call would go on after it: its checkpoint
// and its cursor.
func (p *part) place() []byte {
	h := sha256.New()
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p.checkpoint)))) // a hash takes everything
	_, _ = h.Write(p.checkpoint)
	_, _ = h.Write(p.cursor)
	return h.Sum(nil)[:8]
}

// beginning returns the place of the call's first segment, nil if there was none, and
// whether the call replays what one before it did.
func (s *sink) beginning() (began []byte, replays bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.began, s.replaying()
}

// replaying reports whether the call began where the last one did that did not end
// well. A plugin that does not heed its checkpoint sends the same again, and would be
// asked for ever if each segment of that counted as progress (K11). The caller holds mu.
func (s *sink) replaying() bool {
	return s.began != nil && bytes.Equal(s.began, s.stream.Began)
}
