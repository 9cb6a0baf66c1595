package explain

import (
	_ "embed"
	"fmt"

	"go.yaml.in/yaml/v4"
)

//go:embed codes.yaml
var codes []byte

// Entry explains a code.
type Entry struct {
	Code  string `json:"code"  yaml:"code"`
	Where string `json:"where" yaml:"where"` // who answers with it
	Means string `json:"means" yaml:"means"`
	Do    string `json:"do"    yaml:"do"`
	Run   string `json:"run"   yaml:"run"` // the command to run next; may be empty
}

// All returns the entries, those of one place together.
func All() ([]Entry, error) {
	var all []Entry
	if err := yaml.Unmarshal(codes, &all); err != nil {
		return nil, fmt.Errorf("read explanations: %w", err)
	}
	return all, nil
}

// Lookup returns what explains code: one entry, or several if more than one place
// answers with it; none if it is not a code of Jackfield's own.
func Lookup(code string) ([]Entry, error) {
	all, err := All()
	var out []Entry
	for _, e := range all {
		if e.Code == code {
			out = append(out, e)
		}
	}
	return out, err
}
