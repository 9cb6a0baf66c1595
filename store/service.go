package store

// Caps on what a plugin keeps for the integrations of a tenant together.
const (
	MaxServiceKeys       = 100
	MaxServiceValueBytes = 64 << 10 // sealed
)
