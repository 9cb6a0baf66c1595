package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/jackfield/jackfield/host/internal/explain"
)

func (c *cli) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain [CODE]",
		Short: "Tell what a code means and what to do about it; all of them without one",
		Example: `  jackfield explain page_loop
  jackfield explain`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				all, err := explain.All()
				if err != nil {
					return err
				}
				return c.printEntries(all, func(t *table) {
					t.head("CODE", "OF", "MEANS")
					for _, e := range all {
						t.row(e.Code, e.Where, e.Means)
					}
				})
			}
			found, err := explain.Lookup(args[0])
			if err != nil {
				return err
			}
			if len(found) == 0 {
				return &exitError{
					code: exitFailed, err: fmt.Errorf("%q is no code of Jackfield's own: %w", args[0], errForeign),
					hint: "list the others: " + c.command("explain"), unknown: true,
				}
			}
			return c.printEntries(found, func(t *table) {
				for i, e := range found {
					if i > 0 {
						t.line("")
					}
					t.fact("code", e.Code)
					t.fact("of", e.Where)
					t.fact("means", e.Means)
					t.fact("do", e.Do)
					t.fact("run", e.Run)
				}
			})
		},
		ValidArgsFunction: completeCodes,
	}
}

var errForeign = errors.New("it is the plugin's, or the remote system's, whose documentation explains it")

// printEntries prints explanations as a list, whatever their number.
func (c *cli) printEntries(list []explain.Entry, table func(*table)) error {
	switch c.output {
	case "table":
		return c.printTable(table)
	case "jsonl":
		for _, e := range list {
			if err := c.printValue(entryObject(e)); err != nil {
				return err
			}
		}
		return nil
	default:
		items := make([]any, len(list))
		for i, e := range list {
			items[i] = entryObject(e)
		}
		return c.printValue(object{{"codes", items}})
	}
}

func entryObject(e explain.Entry) object {
	return object{{"code", e.Code}, {"where", e.Where}, {"means", e.Means}, {"do", e.Do}, {"run", e.Run}}
}

func completeCodes(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	all, err := explain.All()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []cobra.Completion
	for _, e := range all {
		out = append(out, cobra.CompletionWithDesc(e.Code, e.Means))
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
