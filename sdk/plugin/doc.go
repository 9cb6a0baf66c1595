// Package plugin puts package sdk on the wire. A plugin's main calls Serve; the
// host makes a Client of a connection. Both sides speak jackfield.plugin.v1 over
// hashicorp/go-plugin, and no protobuf type leaves the package: a Client is an
// sdk.Plugin like the plugin at the other end.
package plugin
