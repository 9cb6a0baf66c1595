package store

// Violation is something that must never be, found in a store: a defect of the
// program or of the disk.
type Violation struct {
	Row   string // of the law that it breaks, such as I03
	Name  string // of the invariant, such as run-counters
	Rule  string // what must hold
	Found string // the first rows for which it does not
}

// String returns the violation in one line.
func (v Violation) String() string {
	return v.Row + " " + v.Name + ": " + v.Rule + ": broken by " + v.Found
}
