// Package address knows what names a place in the network: hosts, ports and URLs
// in one strict form, the ranges of IP addresses that are not the public Internet,
// and what an operator or a plugin's manifest says of them. It resolves nothing and
// connects to nothing.
package address
