package supervisor

import (
	"bufio"
	"errors"
	"io"
)

// maxLine is how much of a line is kept; the rest is read and thrown away.
const maxLine = 64 << 10

// readLines calls each with every line of r, without its end, to the end of r.
// Of a line longer than maxLine it gets the beginning and how many bytes were
// cut. The slice is each's until it returns.
func readLines(r io.Reader, each func(line []byte, cut int)) {
	br := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := br.ReadSlice('\n')
		if !errors.Is(err, bufio.ErrBufferFull) {
			if len(line) > 0 {
				each(trimEnd(line), 0)
			}
			if err != nil {
				return
			}
			continue
		}
		// The buffer is reused by the next read, so the beginning is copied.
		begin := append([]byte(nil), line...)
		cut := 0
		for errors.Is(err, bufio.ErrBufferFull) {
			line, err = br.ReadSlice('\n')
			cut += len(line)
		}
		each(begin, cut)
		if err != nil {
			return
		}
	}
}

func trimEnd(line []byte) []byte {
	for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r') {
		line = line[:len(line)-1]
	}
	return line
}
