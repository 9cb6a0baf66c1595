package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jackfield/jackfield/host/internal/appconnect"
	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/endpoint"
	hostv1 "github.com/jackfield/jackfield/proto/jackfield/host/v1"
)

func (c *cli) templateCommand() *cobra.Command {
	return group("template", "Show and import templates: integration types without code",
		c.templateListCommand(), group("import", "Make a template of another system's description", c.importAppConnectCommand()))
}

func (c *cli) templateListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List templates",
		Args:    noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withDaemon(cmd.Context(), func(ctx context.Context, d *daemon) error {
				resp, err := hostv1.NewTemplateServiceClient(d).ListTemplates(ctx, &hostv1.ListTemplatesRequest{})
				if err != nil {
					return err
				}
				return c.printList(resp, "templates", func(t *table) {
					t.head("TEMPLATE", "TYPE", "LABEL", "ENDPOINTS", "INTEGRATIONS", "FILE")
					for _, tpl := range resp.GetTemplates() {
						t.row(tpl.GetName(), tpl.GetType(), tpl.GetLabel(), len(tpl.GetEndpoints()), tpl.GetIntegrations(), declaredBy(tpl))
					}
				})
			})
		},
	}
}

// declaredBy tells what declares a template.
func declaredBy(tpl *hostv1.Template) string {
	if tpl.GetPlugin() != "" {
		return "plugin " + tpl.GetPlugin()
	}
	return relative(tpl.GetFile())
}

// maxDescription bounds a file that a template is made of.
const maxDescription = 1 << 20

func (c *cli) importAppConnectCommand() *cobra.Command {
	var save bool
	cmd := &cobra.Command{
		Use:   "appconnect FILE",
		Short: "Make a template of a proxy connector's description (JSON, - for stdin)",
		Long: `Make a template of the description of a proxy connector of App Connect, and print it, or write it into the
templates directory of --config (--save). What a template cannot say is told on stderr. It needs no daemon.`,
		Example: "  jackfield template import appconnect connector.json > templates/my-crm.yaml",
		Args:    exactArgs("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			raw, err := c.readFile(args[0], maxDescription)
			if err != nil {
				return err
			}
			out, err := appconnect.Convert(raw)
			if err != nil {
				return usageError(fmt.Errorf("import %s: %w", args[0], err), "")
			}
			for _, note := range out.Notes {
				fmt.Fprintln(c.stderr, "note: "+note)
			}
			if err := c.checkImported(out.YAML); err != nil {
				return err
			}
			if !save {
				_, err := c.stdout.Write(out.YAML)
				return err
			}
			return c.saveTemplate(out.Name, out.YAML)
		},
	}
	cmd.Flags().BoolVar(&save, "save", false, "write it into the templates directory; a file that is there is not replaced")
	return cmd
}

// readFile reads a file that a person names, - for stdin.
func (c *cli) readFile(name string, most int64) ([]byte, error) {
	in := c.stdin
	if name != "-" {
		f, err := os.Open(name) //nolint:gosec // the path is the operator's own
		if err != nil {
			return nil, usageError(fmt.Errorf("read %s: %w", name, err), "")
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	raw, err := io.ReadAll(io.LimitReader(in, most+1))
	switch {
	case err != nil:
		return nil, usageError(fmt.Errorf("read %s: %w", name, err), "")
	case int64(len(raw)) > most:
		return nil, usageError(fmt.Errorf("read %s: more than %d bytes", name, most), "")
	}
	return raw, nil
}

// checkImported reads what was made as the daemon will.
func (c *cli) checkImported(text []byte) error {
	dir, err := os.MkdirTemp("", "jackfield-template-")
	if err != nil {
		return environmentError(err, "")
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "template.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return environmentError(err, "")
	}
	_, problems := config.LoadTemplateFile(path, templateOptions(endpoint.NewCompiler(), config.Options{LookupEnv: c.lookupEnv}))
	for i := range problems {
		problems[i].File = "the template"
	}
	if err := problems.Err(); err != nil {
		return failed(fmt.Errorf("what was made of it cannot be used:\n%w", err), "")
	}
	return nil
}

func (c *cli) saveTemplate(name string, text []byte) error {
	host, problems := config.LoadHost(c.config, config.Options{LookupEnv: c.lookupEnv})
	if err := problems.Err(); err != nil {
		return usageError(err, "")
	}
	if err := os.MkdirAll(host.Templates, 0o750); err != nil {
		return environmentError(fmt.Errorf("make templates directory: %w", err), "")
	}
	path := filepath.Join(host.Templates, name+".yaml")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640) //nolint:gosec // a name that was checked, in the operator's directory
	if errors.Is(err, os.ErrExist) {
		return failed(fmt.Errorf("there is a %s already", relative(path)), "move it away")
	}
	if err == nil {
		_, err = f.Write(text)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return environmentError(fmt.Errorf("write template: %w", err), "")
	}
	if c.output != "table" {
		return c.printValue(object{{"name", name}, {"file", path}})
	}
	_, err = fmt.Fprintln(c.stdout, strings.Join([]string{"template", name, "written to", relative(path)}, " "))
	return err
}
