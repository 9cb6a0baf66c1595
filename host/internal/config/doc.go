// Package config owns what the configuration files say: it reads host.yaml and
// the tenant files strictly, with every problem at its place, checks settings
// against the plugins' schemas, resolves references to secrets, and computes the
// changes that make the store what the files declare.
//
// It never dials and never writes a configuration file. Files are read whole, up
// to 1 MiB; what is wrong in one tenant's file leaves the other tenants alone.
package config
