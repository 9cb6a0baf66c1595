package store

// Status is a store at a glance. Counts are of one moment each, not of the same
// one.
type Status struct {
	Path          string
	Epoch         int64
	SchemaVersion int
	Tenants       int64
	Integrations  map[IntegrationState]int64 // removed ones left out
	Removed       int64                      // integrations that wait for the end of their data
	Runs          map[RunState]int64
	LanesDue      int64 // could be claimed now
	LanesHeld     int64
	Records       int64 // the deleted ones with them
	Position      int64 // newest of the feed
	DatabaseBytes int64
	WALBytes      int64
	Full          bool   // the disk is: nothing new is begun (ErrFull)
	Frozen        string // why nothing is written any more; empty if it is
}
