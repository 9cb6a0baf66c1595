package store

// Gauges are a store's numbers for who measures it again and again: cheap ones, of
// one moment each.
type Gauges struct {
	Runs         map[RunState]int64
	Streams      map[StreamState]int64 // of the runs that are open, system streams left out
	Integrations map[IntegrationState]int64
	LanesDue     int64 // could be claimed now
	LanesHeld    int64
	Writes       int // that wait for the writer
	Chores       int // likewise, for when nothing else does: 0 or 1
	Position     int64
	Database     int64 // bytes
	WAL          int64 // bytes
	Full         bool
}
