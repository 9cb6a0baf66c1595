package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/jackfield/jackfield/host/internal/nearest"
)

// group returns a command that only has sub-commands. Cobra prints the help and
// succeeds for one that does not exist; here that is an error with a suggestion.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			hint := "see " + cmd.CommandPath() + " --help"
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				hint = "did you mean " + quoteAll(near) + "?"
			}
			return usageError(fmt.Errorf("%s has no command %q", cmd.CommandPath(), args[0]), hint)
		},
		SuggestionsMinimumDistance: 2,
	}
	cmd.AddCommand(commands...)
	return cmd
}

// exactArgs asks for one argument a name.
func exactArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return usageError(fmt.Errorf("%s: missing %s", cmd.CommandPath(), strings.Join(names[len(args):], " and ")), usageHint(cmd))
		}
		if len(args) > len(names) {
			return usageError(fmt.Errorf("%s: unexpected argument %q", cmd.CommandPath(), args[len(names)]), usageHint(cmd))
		}
		return nil
	}
}

// someArgs asks for one or more arguments of a name.
func someArgs(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usageError(fmt.Errorf("%s: missing %s", cmd.CommandPath(), name), usageHint(cmd))
		}
		return nil
	}
}

// noArgs refuses arguments.
func noArgs() cobra.PositionalArgs { return exactArgs() }

func usageHint(cmd *cobra.Command) string { return "usage: " + cmd.UseLine() }

// flagError names the flag that was probably meant.
func flagError(cmd *cobra.Command, err error) error {
	hint, what := badValue(err)
	hint = cmp.Or(hint, "see "+cmd.CommandPath()+" --help")
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok && len(unknown.GetSpecifiedName()) > 1 {
		if near := nearFlags(cmd, unknown.GetSpecifiedName()); len(near) > 0 {
			hint = "did you mean " + quoteAll(near) + "?"
		}
	}
	return usageError(fmt.Errorf("%s: %w", cmd.CommandPath(), what), hint)
}

// badValue says of a flag's value what is wrong with it, without the words that
// libraries put around that, and how to write it where that is not plain.
func badValue(err error) (hint string, what error) {
	bad, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return "", err
	}
	name := bad.GetFlag().Name
	if bad.GetFlag().Value.Type() == "duration" {
		return "a number and its unit, such as 90s or 1h30m", fmt.Errorf("--%s: %q is no duration", name, bad.GetValue())
	}
	if number, ok := errors.AsType[*strconv.NumError](bad); ok {
		return "", fmt.Errorf("--%s: %q: %w", name, bad.GetValue(), number.Err)
	}
	return "", fmt.Errorf("--%s: %w", name, bad.Unwrap())
}

func nearFlags(cmd *cobra.Command, name string) []string {
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden && (nearest.Distance(f.Name, name) <= 2 || strings.HasPrefix(f.Name, name)) {
			names = append(names, "--"+f.Name)
		}
	})
	return names
}

func quoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(quoted, " or ")
}

// enum is a flag that takes one of a list of words.
type enum struct {
	value *string
	words []string
}

// newEnum returns a flag value that stands on the first of the words.
func newEnum(value *string, words ...string) *enum {
	*value = words[0]
	return &enum{value: value, words: words}
}

// String returns the word.
func (e *enum) String() string { return *e.value }

// Type names the value in help.
func (e *enum) Type() string { return "string" }

// Set takes one of the words.
func (e *enum) Set(s string) error {
	if !slices.Contains(e.words, s) {
		return fmt.Errorf("%q is none of %s", s, strings.Join(e.words, ", "))
	}
	*e.value = s
	return nil
}

// completeFlags offers the words of each enum flag of cmd to the shell.
func completeFlags(cmd *cobra.Command) {
	offer := func(f *pflag.Flag) {
		if e, ok := f.Value.(*enum); ok {
			// The flag exists: the error would say that it does not.
			_ = cmd.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(e.words, cobra.ShellCompDirectiveNoFileComp))
		}
	}
	cmd.PersistentFlags().VisitAll(offer)
	cmd.LocalNonPersistentFlags().VisitAll(offer)
}
