package launcher

import "strconv"

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
	Tasks    uint64 // processes and threads of its user; 0: likewise
	Filter   []byte // of system calls: struct sock_filter after struct sock_filter
}

// Encode returns the Spec as the value of Variable.
func (s Spec) Encode() string {
	out := strconv.AppendBool(nil, s.Landlock)
	out = strconv.AppendBool(append(out, ' '), s.Bare)
	out = strconv.AppendUint(append(out, ' '), s.Data, 10)
	out = strconv.AppendUint(append(out, ' '), s.Files, 10)
	out = strconv.AppendUint(append(out, ' '), s.Tasks, 10)
	out = append(out, ' ')
	for _, b := range s.Filter {
		out = append(out, hex[b>>4], hex[b&15])
	}
	out = strconv.AppendQuote(append(out, ' '), s.Name)
	out = strconv.AppendQuote(append(out, ' '), s.Path)
	return string(out)
}

// Decode is the reverse of Encode, and false for anything else.
func Decode(text string) (s Spec, ok bool) {
	var fields [6]string
	for i := range fields {
		if fields[i], text, ok = cut(text); !ok {
			return Spec{}, false
		}
	}
	name, err := strconv.QuotedPrefix(text)
	if err != nil || len(text) == len(name) || text[len(name)] != ' ' || len(fields[5])%2 != 0 {
		return Spec{}, false
	}
	path := text[len(name)+1:]
	var errs [7]error
	s.Landlock, errs[0] = strconv.ParseBool(fields[0])
	s.Bare, errs[1] = strconv.ParseBool(fields[1])
	s.Data, errs[2] = strconv.ParseUint(fields[2], 10, 64)
	s.Files, errs[3] = strconv.ParseUint(fields[3], 10, 64)
	s.Tasks, errs[4] = strconv.ParseUint(fields[4], 10, 64)
	s.Name, errs[5] = strconv.Unquote(name)
	s.Path, errs[6] = strconv.Unquote(path)
	for _, err := range errs {
		if err != nil {
			return Spec{}, false
		}
	}
	for i := 0; i < len(fields[5]); i += 2 {
		b, err := strconv.ParseUint(fields[5][i:i+2], 16, 8)
		if err != nil {
			return Spec{}, false
		}
		s.Filter = append(s.Filter, byte(b))
	}
	return s, true
}

const hex = "0123456789abcdef"

// cut parts text at its first space. Package strings has one too, and would have to be
// initialized first, with the tables of Unicode and all that comes before these.
func cut(text string) (before, after string, ok bool) {
	for i := range len(text) {
		if text[i] == ' ' {
			return text[:i], text[i+1:], true
		}
	}
	return text, "", false
}
