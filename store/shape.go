package store

// TypePolicy says what becomes of a record with a field of another type than the
// field had before.
type TypePolicy string

// The policies. TypesPass costs nothing: no type is looked at.
const (
	TypesPass       TypePolicy = "pass"       // it is stored as it is
	TypesQuarantine TypePolicy = "quarantine" // it is left out, with a warning
	TypesHalt       TypePolicy = "halt"       // its stream ends in error; nothing of its segment is stored
)

// Shapes are the types of the fields of an integration's records: by kind, by name
// of the field. A type is one of string, number, boolean, object and array.
type Shapes map[string]map[string]string

// Caps on what is known of types: what comes beyond is stored and not watched.
const (
	MaxShapeKinds  = 100
	MaxShapeFields = 1000 // of a kind
)
