package plugin

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
	"github.com/jackfield/jackfield/sdk"
)

// codeOperation is the code of an operation that this host does not know.
const codeOperation = "unknown_operation"

func opToProto(deleted, updated bool) pluginv1.Op {
	switch {
	case deleted:
		return pluginv1.Op_OP_DELETE
	case updated:
		return pluginv1.Op_OP_UPDATE
	default:
		return pluginv1.Op_OP_UPSERT
	}
}

// known refuses a batch with an operation that this host does not know: to leave
// it out would lose it without a word. A field of the batch itself is a kind of
// operation too.
func known(p *pluginv1.Batch) error {
	if extra := p.ProtoReflect().GetUnknown(); len(extra) > 0 {
		field, _, _ := protowire.ConsumeTag(extra)
		return unknown("field %d of a batch", field)
	}
	for _, r := range p.GetRecords() {
		if err := knownOp(r.GetOp(), r.GetKind(), r.GetExternalId()); err != nil {
			return err
		}
	}
	for _, m := range p.GetMembers() {
		if err := knownOp(m.GetOp(), sdk.KindMember, m.GetExternalId()); err != nil {
			return err
		}
	}
	for _, a := range p.GetActivities() {
		if err := knownActivity(a); err != nil {
			return err
		}
	}
	return nil
}

func knownActivity(a *pluginv1.Activity) error {
	if a.GetOp() == pluginv1.Op_OP_UPDATE {
		return unknown("%s of activity %.64q", a.GetOp(), a.GetExternalId())
	}
	if err := knownOp(a.GetOp(), sdk.KindActivity, a.GetExternalId()); err != nil {
		return err
	}
	for _, m := range []*pluginv1.Member{a.GetMember(), a.GetObjectMember()} {
		if m == nil {
			continue
		}
		if err := knownOp(m.GetOp(), sdk.KindMember, m.GetExternalId()); err != nil {
			return err
		}
	}
	return nil
}

func knownOp(op pluginv1.Op, kind, id string) error {
	switch op {
	case pluginv1.Op_OP_UPSERT, pluginv1.Op_OP_DELETE, pluginv1.Op_OP_UPDATE:
		return nil
	case pluginv1.Op_OP_UNSPECIFIED:
	}
	return unknown("%s of %.64q %.64q", op, kind, id)
}

func unknown(format string, args ...any) error {
	return &sdk.Error{Class: sdk.ClassSystem, Code: codeOperation, Message: "this host does not know the operation " + fmt.Sprintf(format, args...)}
}
