package api

import (
	"strconv"
	"strings"
)

// position is a place in the change feed, as its readers hold it: the shard, a
// number, and for one who began anew and has not come that far the newest position
// of then. Readers hand it back as it is and look at nothing in it (K23).
type position struct {
	at, since int64
}

// The base of the numbers in a position, and the shard of all that there is.
const (
	positionBase  = 36
	positionShard = "0"
)

// String returns the position as text.
func (p position) String() string {
	text := positionShard + "-" + strconv.FormatInt(p.at, positionBase)
	if p.since > p.at {
		text += "." + strconv.FormatInt(p.since, positionBase)
	}
	return text
}

// parsePosition reads what a position's String gave. Empty and "0" are the
// beginning. One that is beyond the newest is of another database.
func parsePosition(text string, newest int64) (position, error) {
	if text == "" || text == "0" {
		return position{}, nil
	}
	var p position
	number, since, limited := strings.Cut(strings.TrimPrefix(text, positionShard+"-"), ".")
	var err, sinceErr error
	p.at, err = strconv.ParseInt(number, positionBase, 64)
	if limited {
		p.since, sinceErr = strconv.ParseInt(since, positionBase, 64)
	}
	switch {
	case err != nil || sinceErr != nil || p.at < 0 || p.String() != text:
		return position{}, invalid("pass a position that a record or a page came with, as it is; leave it out to read from the beginning",
			"%q is not a position", text)
	case max(p.at, p.since) > newest:
		return position{}, invalid("read anew, from the beginning", "position %q is not of this database", text)
	default:
		return p, nil
	}
}
