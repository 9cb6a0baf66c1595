// Package secret owns what must not be seen: values that do not print, the key
// that seals what the store keeps of them, and the removal of known values from
// text that others wrote. It imports no sibling.
package secret
