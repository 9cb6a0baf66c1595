// Package sdktest checks a plugin against its contract, without a process and
// without a host. Exercise reports every rule that a plugin breaks; Run returns
// what it emits, for tests of one's own. Both take any sdk.Plugin: the plugin
// itself or, by plugin.OverWire, the same over gRPC. Nothing here needs package
// testing.
package sdktest
