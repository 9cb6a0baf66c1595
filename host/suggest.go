package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jackfield/jackfield/host/internal/nearest"
)

// suggest puts the name that was probably meant into an error about a name that
// the daemon does not know. It asks for the names as the shell's completion does.
func (c *cli) suggest(cmd *cobra.Command, err error) {
	e, ok := errors.AsType[*exitError](err)
	if !ok || !e.unknown || cmd.ValidArgsFunction == nil {
		return
	}
	known, _ := cmd.ValidArgsFunction(cmd, nil, "")
	for _, name := range strings.FieldsFunc(strings.Join(cmd.Flags().Args(), ","), func(r rune) bool { return r == ',' }) {
		if near := nearNames(known, name); len(near) > 0 {
			e.hint = "did you mean " + quoteAll(near) + "?"
			return
		}
	}
}

// maxNear is how many names a suggestion has.
const maxNear = 3

// nearNames returns the known names that name may stand for: misspelt, or an
// integration without its tenant. It returns none if name is known itself, and
// none for a number, which is like every other.
func nearNames(known []cobra.Completion, name string) []string {
	if strings.Trim(name, "0123456789") == "" {
		return nil
	}
	var near []string
	for _, k := range known {
		k, _, _ = strings.Cut(k, "\t") // the rest describes it
		switch {
		case k == name:
			return nil
		case len(near) < maxNear && (strings.HasSuffix(k, "/"+name) || nearest.Distance(k, name) <= 2):
			near = append(near, k)
		}
	}
	return near
}
