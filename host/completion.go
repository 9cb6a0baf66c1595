package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"
)

func (c *cli) completionCommand() *cobra.Command {
	shells := []string{"bash", "fish", "powershell", "zsh"}
	return &cobra.Command{
		Use:       "completion SHELL",
		Short:     "Print what completes commands in a shell: bash, fish, powershell or zsh",
		Example:   "  source <(jackfield completion bash)",
		ValidArgs: shells,
		Args: cobra.MatchAll(exactArgs("SHELL"), func(_ *cobra.Command, args []string) error {
			if !slices.Contains(shells, args[0]) {
				return usageError(fmt.Errorf("no completion for %q", args[0]), "bash, fish, powershell or zsh")
			}
			return nil
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(c.stdout, true)
			case "fish":
				return root.GenFishCompletion(c.stdout, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(c.stdout)
			default:
				return root.GenZshCompletion(c.stdout)
			}
		},
	}
}
