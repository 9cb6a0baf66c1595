package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/jackfield/jackfield/host/internal/config"
	"github.com/jackfield/jackfield/host/internal/discovery"
	"github.com/jackfield/jackfield/sdk"
)

func (c *cli) schemaCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schema [config]",
		Short: "Print the JSON Schema of the configuration or of a plugin's settings",
		Long: `Schema prints the JSON Schema of host.yaml and of tenant files, with the settings of
every approved plugin in it. Editors complete and check files that name it:

  jackfield schema > ` + config.SchemaFile + `
  # yaml-language-server: $schema=./` + config.SchemaFile + `   (first line of host.yaml)`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || len(args) == 1 && args[0] == "config" {
				return nil
			}
			return usageError(fmt.Errorf("%s has no command %q", cmd.CommandPath(), args[0]), "jackfield schema config, or jackfield schema plugin NAME")
		},
		ValidArgs: []string{"config"},
		RunE: func(*cobra.Command, []string) error {
			manifests, err := c.approvedManifests()
			if err != nil {
				return err
			}
			raw, err := config.Schema(manifests)
			if err != nil {
				return failed(err, "")
			}
			return c.printValue(json.RawMessage(raw))
		},
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "plugin NAME",
		Short: "Print the JSON Schema of a plugin's settings",
		Args:  exactArgs("NAME"),
		RunE:  func(_ *cobra.Command, args []string) error { return c.printPluginSchema(args[0]) },
	})
	return cmd
}

func (c *cli) printPluginSchema(name string) error {
	manifests, err := c.approvedManifests()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(manifests, func(m sdk.Manifest) bool { return m.Name == name })
	if i < 0 {
		return failed(fmt.Errorf("plugin %q is not approved", name), "jackfield plugin approve "+name)
	}
	schema := manifests[i].SettingsSchema
	if len(schema) == 0 {
		schema = []byte(`{"type":"object"}`)
	}
	return c.printValue(json.RawMessage(schema))
}

// approvedManifests returns the manifests of the approved plugins, by name. It
// needs no host.yaml: without one there are none.
func (c *cli) approvedManifests() ([]sdk.Manifest, error) {
	host, _ := config.LoadHost(c.config, config.Options{LookupEnv: c.lookupEnv})
	lock, err := discovery.LoadLock(host.LockFile())
	if err != nil {
		return nil, environmentError(errors.New(err.Error()), "")
	}
	var out []sdk.Manifest
	for _, m := range discovery.ApprovedManifests(host.Data, lock) {
		out = append(out, m)
	}
	return out, nil
}
