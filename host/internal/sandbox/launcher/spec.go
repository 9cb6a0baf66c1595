package launcher

import (
	"strconv"
	"strings"
)

// Variable is the one of the environment in which a Spec is handed over. A process
// that has it becomes what the Spec says. The program does not get to see it.
const Variable = "JACKFIELD_LAUNCH"

// The descriptors that a process to be launched is started with.
const (
	StatusFD  = 3 // a pipe: what went wrong is written to it, nothing if nothing did
	ProgramFD = 4 // what is executed, unless Spec.Path says another
	RulesetFD = 5 // of Landlock, if Spec.Landlock
)

// Spec is what a process gives up, and what it executes.
type Spec struct {
	Name     string // the first argument
	Path     string // executed by name; empty: ProgramFD
	Landlock bool   // RulesetFD is to be entered
	Bare     bool   // it has capabilities, all of which it drops
	Data     uint64 // bytes of memory that it may write; 0: as many as there are
	Files    uint64 // open ones; 0: as many as this process may have
	Filter   []byte // of system calls: struct sock_filter after struct sock_filter
}

// Encode returns the Spec as the value of Variable.
func (s Spec) Encode() string {
	var filter strings.Builder
	for _, b := range s.Filter {
		filter.WriteByte(hex[b>>4])
		filter.WriteByte(hex[b&15])
	}
	return strings.Join([]string{
		strconv.FormatBool(s.Landlock), strconv.FormatBool(s.Bare), strconv.FormatUint(s.Data, 10), strconv.FormatUint(s.Files, 10),
		filter.String(), strconv.Quote(s.Name), strconv.Quote(s.Path),
	}, " ")
}

// Decode is the reverse of Encode, and false for anything else.
func Decode(text string) (s Spec, ok bool) {
	fields := strings.SplitN(text, " ", 6)
	if len(fields) != 6 || len(fields[4])%2 != 0 {
		return Spec{}, false
	}
	name, err := strconv.QuotedPrefix(fields[5])
	if err != nil {
		return Spec{}, false
	}
	var errs [6]error
	s.Landlock, errs[0] = strconv.ParseBool(fields[0])
	s.Bare, errs[1] = strconv.ParseBool(fields[1])
	s.Data, errs[2] = strconv.ParseUint(fields[2], 10, 64)
	s.Files, errs[3] = strconv.ParseUint(fields[3], 10, 64)
	s.Name, errs[4] = strconv.Unquote(name)
	s.Path, errs[5] = strconv.Unquote(strings.TrimPrefix(fields[5][len(name):], " "))
	for _, err := range errs {
		if err != nil {
			return Spec{}, false
		}
	}
	for i := 0; i < len(fields[4]); i += 2 {
		high, low := strings.IndexByte(hex, fields[4][i]), strings.IndexByte(hex, fields[4][i+1])
		if high < 0 || low < 0 {
			return Spec{}, false
		}
		s.Filter = append(s.Filter, byte(high<<4|low)) //nolint:gosec // two digits
	}
	return s, true
}

const hex = "0123456789abcdef"
