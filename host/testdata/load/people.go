package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackfield/jackfield/sdk"
)

// people emits members whose sources in other streams have an account in common
// with them. Each wrote an answer that comes before what it answers; the reach of
// each comes before the member.
func (i *instance) people(ctx context.Context, stream string, out *sdk.Emitter) error {
	at := time.Date(2023, 5, 1, 10, 0, 0, 0, time.UTC)
	for n := range i.People {
		id := fmt.Sprintf("%s-p%d", stream, n)
		who := sdk.Member{ID: id, DisplayName: fmt.Sprintf("Person %d", n), Identities: []sdk.Identity{
			{Platform: "load", Username: id}, {Platform: "mail", Username: fmt.Sprintf("p%d", n)},
		}}
		for _, err := range []error{
			out.Member(ctx, sdk.Member{ID: id, Update: true, Reach: map[string]int64{stream: int64(n)}}),
			out.Activity(ctx, sdk.Activity{ID: id + " answers", ParentID: id + " asks", Type: "message", Platform: "load", Timestamp: at, Member: &who}),
			out.Activity(ctx, sdk.Activity{ID: id + " asks", ParentID: "nobody", Type: "message", Platform: "load", Timestamp: at, Member: &who}),
			out.Service(ctx, "people", i.People),
		} {
			if err != nil {
				return err
			}
		}
	}
	return nil
}
