package main

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pluginv1 "github.com/jackfield/jackfield/proto/jackfield/plugin/v1"
)

// reply is one bad answer.
type reply struct {
	*rand.Rand
	n      uint64
	stream grpc.ServerStream
	token  []byte
	asks   chan<- raw
}

func newReply(n uint64, stream grpc.ServerStream, token []byte, asks chan<- raw) *reply {
	return &reply{Rand: rand.New(rand.NewPCG(n, 0)), n: n, stream: stream, token: token, asks: asks}
}

// send answers: each reply in another way than the one before.
func (r *reply) send(method string) error {
	ways := []func() error{r.noise, r.fields, r.nothing, r.large, r.code, r.details, r.trailers, r.twice, r.askTheHost}
	if method == "ProcessStream" || method == "GetStreams" {
		ways = append(ways,
			r.outOfOrder, r.empty, r.deep, r.noJSON, r.noText, r.ids, r.extremes, r.pages, r.segments,
			r.withoutEnd, r.streams, r.settings, r.members, r.activities, r.operations, r.checkpoints,
		)
	}
	return ways[r.n%uint64(len(ways))]()
}

func (r *reply) put(m any) error { return r.stream.SendMsg(m) }

func (r *reply) batch(b *pluginv1.Batch) error {
	return r.put(&pluginv1.ProcessStreamResponse{Part: &pluginv1.ProcessStreamResponse_Batch{Batch: b}})
}

func (r *reply) checkpoint(c *pluginv1.Checkpoint) error {
	return r.put(&pluginv1.ProcessStreamResponse{Part: &pluginv1.ProcessStreamResponse_Checkpoint{Checkpoint: c}})
}

func (r *reply) outcome(o *pluginv1.Outcome) error {
	return r.put(&pluginv1.ProcessStreamResponse{Part: &pluginv1.ProcessStreamResponse_Outcome{Outcome: o}})
}

func (r *reply) bytes(n int) []byte {
	out := make([]byte, n, n+8)
	for i := 0; i < n; i += 8 {
		binary.LittleEndian.PutUint64(out[i:i+8:cap(out)], r.Uint64())
	}
	return out
}

// noise is no protobuf.
func (r *reply) noise() error { return r.put(raw(r.bytes(1 + r.IntN(64<<10)))) }

// fields are protobuf that means nothing: any numbers, any types, nested.
func (r *reply) fields() error { return r.put(raw(r.message(3, 256<<10))) }

func (r *reply) message(depth, room int) []byte {
	var out []byte
	for range 1 + r.IntN(40) {
		number := protowire.Number(1 + r.IntN(20))
		switch kind := r.IntN(5); {
		case kind == 0:
			out = protowire.AppendVarint(protowire.AppendTag(out, number, protowire.VarintType), r.Uint64())
		case kind == 1:
			out = protowire.AppendFixed64(protowire.AppendTag(out, number, protowire.Fixed64Type), r.Uint64())
		case kind == 2:
			out = protowire.AppendFixed32(protowire.AppendTag(out, number, protowire.Fixed32Type), r.Uint32())
		case kind == 3 && depth > 0:
			out = protowire.AppendBytes(protowire.AppendTag(out, number, protowire.BytesType), r.message(depth-1, room/40))
		default:
			out = protowire.AppendBytes(protowire.AppendTag(out, number, protowire.BytesType), r.bytes(r.IntN(max(room/40, 1))))
		}
	}
	return out
}

// nothing ends the call without an answer.
func (*reply) nothing() error { return nil }

// large is over what a message may have.
func (r *reply) large() error {
	return r.put(raw(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), make([]byte, 5<<20))))
}

// code is a status that gRPC does not know.
func (r *reply) code() error {
	odd := []int32{17, 99, 4711, math.MaxInt32, math.MinInt32, -1, int32(r.Uint32() >> 1)}
	s := status.New(codes.Unknown, strings.Repeat("\x1b[2J\r\n\x00\u202e", 1<<10)).Proto()
	s.Code = odd[r.IntN(len(odd))]
	return status.ErrorProto(s)
}

// details are an error of the protocol that is none, or one out of range.
func (r *reply) details() error {
	value := r.bytes(r.IntN(4 << 10))
	if r.IntN(2) == 0 {
		value, _ = proto.Marshal(&pluginv1.Error{
			Class: pluginv1.ErrorClass(r.Int32()), Code: strings.Repeat("c", 64<<10), Message: strings.Repeat("m\n", 32<<10),
			Limit:   &pluginv1.RateLimit{Key: strings.Repeat("k", 64<<10), Reset_: &pluginv1.RateLimit_After{After: &durationpb.Duration{Seconds: math.MinInt64, Nanos: math.MinInt32}}},
			Request: &pluginv1.RequestFacts{Method: "\x00", Url: "http://a:b@[::1%25x]:99999/\x7f", Status: math.MinInt32, Duration: &durationpb.Duration{Seconds: math.MaxInt64}},
			Details: map[string]string{"": "", strings.Repeat("d", 8<<10): strings.Repeat("e", 8<<10)},
		})
	}
	s := status.New(codes.Code(1+r.Uint32N(16)), "bad").Proto()
	s.Details = []*anypb.Any{
		{TypeUrl: "type.googleapis.com/jackfield.plugin.v1.Error", Value: value},
		{TypeUrl: strings.Repeat("/", 1<<10), Value: value},
	}
	return status.ErrorProto(s)
}

// trailers are a megabyte of headers behind the answer.
func (r *reply) trailers() error {
	more := metadata.MD{}
	for range 64 {
		more.Append("x-"+strings.Repeat("x", 1+r.IntN(64)), strings.Repeat("y", 16<<10))
	}
	r.stream.SetTrailer(more)
	return r.put(raw{})
}

// twice answers where one answer is due, and goes on after the outcome.
func (r *reply) twice() error {
	if err := r.outcome(&pluginv1.Outcome{}); err != nil {
		return err
	}
	return r.outcome(&pluginv1.Outcome{NextPage: []byte("again")})
}

// outOfOrder goes on after the outcome.
func (r *reply) outOfOrder() error {
	if err := r.outcome(&pluginv1.Outcome{}); err != nil {
		return err
	}
	if r.IntN(2) == 0 {
		return r.checkpoint(&pluginv1.Checkpoint{Data: []byte("late")})
	}
	return r.batch(&pluginv1.Batch{Records: []*pluginv1.Record{record("late", `{}`)}})
}

// empty is a message with nothing in it, and a batch with nothing in its records.
func (r *reply) empty() error {
	if r.IntN(2) == 0 {
		return r.put(raw{})
	}
	return r.batch(&pluginv1.Batch{Records: make([]*pluginv1.Record, 1000), Members: make([]*pluginv1.Member, 10), Streams: make([]*pluginv1.Stream, 10)})
}

func record(id, data string) *pluginv1.Record {
	return &pluginv1.Record{Op: pluginv1.Op_OP_UPSERT, Kind: "thing", ExternalId: id, Data: []byte(data)}
}

// deep is JSON that nests half a million times.
func (r *reply) deep() error {
	const n = 500_000
	return r.end(r.batch(&pluginv1.Batch{Records: []*pluginv1.Record{record("deep", `{"a":`+strings.Repeat("[", n)+strings.Repeat("]", n)+`}`)}}))
}

// noJSON is data of a record that is none.
func (r *reply) noJSON() error {
	return r.end(r.batch(&pluginv1.Batch{Records: []*pluginv1.Record{record("odd", string(r.bytes(1000)))}}))
}

// noText has strings that are no UTF-8, which no generated code would write.
func (r *reply) noText() error {
	rec := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 1)
	for number, text := range map[protowire.Number]string{2: "thing\xff\xfe", 3: "\xc0\xaf\xed\xa0\x80", 7: `{}`} {
		rec = protowire.AppendString(protowire.AppendTag(rec, number, protowire.BytesType), text)
	}
	batch := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), rec)
	return r.put(raw(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), batch)))
}

// ids are empty, endless, of the host's own kinds, or made to leave their place.
func (r *reply) ids() error {
	odd := []string{"", strings.Repeat("i", 1<<20), "../../../etc/passwd", "a\x00b", "\x1b]0;x\x07", "' OR 1=1 --", "acme/load", "\u202e", "\u0000"}
	id := odd[r.IntN(len(odd))]
	rec := record(id, `{}`)
	rec.Parent = &pluginv1.Ref{Kind: id, ExternalId: id}
	if r.IntN(3) == 0 {
		rec.Kind = id
	}
	return r.end(r.batch(&pluginv1.Batch{Records: []*pluginv1.Record{rec, record("fine", `{}`)}}))
}

// extremes are numbers at the ends of their types.
func (r *reply) extremes() error {
	far := &timestamppb.Timestamp{Seconds: math.MaxInt64, Nanos: math.MaxInt32}
	past := &timestamppb.Timestamp{Seconds: math.MinInt64, Nanos: math.MinInt32}
	rec := record("far", `{"n":1e999999999,"m":-0.0e-0,"big":`+strings.Repeat("9", 10_000)+`}`)
	rec.OccurredAt, rec.Version = far, r.bytes(64<<10)
	if err := r.batch(&pluginv1.Batch{Records: []*pluginv1.Record{rec}}); err != nil {
		return err
	}
	o := &pluginv1.Outcome{LastRecordTimestamp: past, LastRecord: strings.Repeat("l", 1<<20)}
	if r.IntN(20) == 0 { // seldom: the run would wait
		o.Sleep = &durationpb.Duration{Seconds: math.MaxInt64, Nanos: math.MaxInt32}
	} else {
		o.Sleep = &durationpb.Duration{Seconds: math.MinInt64, Nanos: math.MinInt32}
	}
	o.RateLimit = &pluginv1.RateLimit{Key: string(rune('a' + r.IntN(26))), Reset_: &pluginv1.RateLimit_Until{Until: far}}
	return r.outcome(o)
}

// pages ask for one more, for ever, by tokens as large as a message.
func (r *reply) pages() error {
	size := []int{0, 16, 1 << 10, 3 << 20}
	return r.outcome(&pluginv1.Outcome{NextPage: r.bytes(size[r.IntN(len(size))]), Cursor: r.bytes(size[r.IntN(len(size))])})
}

// segments are many, small ones.
func (r *reply) segments() error {
	for n := range 200 {
		if err := r.checkpoint(&pluginv1.Checkpoint{Data: r.bytes(n), Cursor: r.bytes(n)}); err != nil {
			return err
		}
	}
	return r.outcome(&pluginv1.Outcome{})
}

// withoutEnd sends records until the host has had enough.
func (r *reply) withoutEnd() error {
	data := `{"x":"` + strings.Repeat("x", 128<<10) + `"}`
	for {
		if err := r.batch(&pluginv1.Batch{Records: []*pluginv1.Record{record("endless", data)}}); err != nil {
			return err
		}
	}
}

// streams are more work: of others, of nobody, and with too much in them.
func (r *reply) streams() error {
	b := &pluginv1.Batch{}
	for n := range 20 {
		s := &pluginv1.Stream{Id: "s00001", Connector: "things", Partition: "s00002"}
		switch n % 4 {
		case 1:
			s.Connector = "nothing"
		case 2:
			s.Data = r.bytes(128 << 10)
		case 3:
			s.Id, s.LimitKey = strings.Repeat("s", 64<<10), strings.Repeat("k", 64<<10)
		}
		b.Streams = append(b.Streams, s)
	}
	return r.end(r.batch(b))
}

// settings are many, and no JSON.
func (r *reply) settings() error {
	b := &pluginv1.Batch{Settings: map[string][]byte{}, Service: map[string][]byte{}}
	for range 2000 {
		b.Settings[string(rune('a'+r.IntN(26)))+strings.Repeat("s", r.IntN(100))] = r.bytes(r.IntN(100))
		b.Service[""] = []byte("{")
	}
	for range 1000 {
		b.Warnings = append(b.Warnings, &pluginv1.Warning{RecordId: strings.Repeat("w", 1000), Message: strings.Repeat("\x07", 1000)})
	}
	return r.end(r.batch(b))
}

// members have identities by the thousand, and attributes that are no JSON.
func (r *reply) members() error {
	m := &pluginv1.Member{
		Op: pluginv1.Op(r.Int32N(6)), ExternalId: "m", Reach: map[string]int64{"a": math.MaxInt64, "b": math.MinInt64},
		Attributes: map[string][]byte{"a": []byte("{"), "b": r.bytes(100)}, JoinedAt: &timestamppb.Timestamp{Seconds: math.MaxInt64},
		Clear: []string{"identities", "nothing", "\x00"},
	}
	for range 10_000 {
		m.Identities = append(m.Identities, &pluginv1.Identity{Platform: "p", Username: "u"})
	}
	return r.end(r.batch(&pluginv1.Batch{Members: []*pluginv1.Member{m}}))
}

// activities are by nobody and by two, at the end of time, with the greatest score.
func (r *reply) activities() error {
	a := &pluginv1.Activity{
		Op: pluginv1.Op_OP_UPSERT, ExternalId: "a", Type: "t", Platform: "p", Score: math.MinInt64, Timestamp: &timestamppb.Timestamp{Seconds: math.MinInt64},
		Attributes: map[string][]byte{"a": r.bytes(10)},
	}
	if r.IntN(2) == 0 {
		a.Username, a.Member = "both", &pluginv1.Member{ExternalId: "both"}
	}
	return r.end(r.batch(&pluginv1.Batch{Activities: []*pluginv1.Activity{a, {}}}))
}

// operations are those that the host does not know, and deletes with data.
func (r *reply) operations() error {
	rec := record("op", `{}`)
	rec.Op = pluginv1.Op(r.Int32())
	if r.IntN(2) == 0 {
		rec.Op = pluginv1.Op_OP_DELETE
	}
	rec.Kind = []string{"member", "activity", "thing"}[r.IntN(3)]
	return r.end(r.batch(&pluginv1.Batch{Records: []*pluginv1.Record{rec}}))
}

// checkpoints are as large as a message, or stand for nothing.
func (r *reply) checkpoints() error {
	return r.end(r.checkpoint(&pluginv1.Checkpoint{Data: r.bytes(3 << 20), Cursor: r.bytes(512 << 10)}))
}

// end follows with an outcome.
func (r *reply) end(err error) error {
	if err != nil {
		return err
	}
	return r.outcome(&pluginv1.Outcome{})
}

// askTheHost asks for what there is not, in the name of this call and of others, and
// ends without waiting for an answer.
func (r *reply) askTheHost() error {
	long := strings.Repeat("n", 100_000)
	fields := map[string]string{}
	for n := range 1000 {
		fields[string(rune('a'+n%26))+strings.Repeat("f", n)] = "\x1b"
	}
	asks := []*pluginv1.HostLinkResponse{
		{Id: r.Uint64()},
		{Ask: &pluginv1.HostLinkResponse_Cancel{Cancel: r.Uint64()}},
		{Ask: &pluginv1.HostLinkResponse_SlotRelease{SlotRelease: math.MaxUint64}},
		{Ask: &pluginv1.HostLinkResponse_CredentialGet{CredentialGet: &pluginv1.CredentialGet{Name: long, MinVersion: math.MinInt64}}},
		{Ask: &pluginv1.HostLinkResponse_CredentialCommit{CredentialCommit: &pluginv1.CredentialCommit{Name: "\x00", Version: math.MaxInt64, Token: r.bytes(64 << 10)}}},
		{Ask: &pluginv1.HostLinkResponse_CachePut{CachePut: &pluginv1.CachePut{Scope: long, Key: long, Value: r.bytes(256 << 10), Ttl: &durationpb.Duration{Seconds: math.MaxInt64}}}},
		{Ask: &pluginv1.HostLinkResponse_Limit{Limit: &pluginv1.Limit{Scope: "plugin", Key: long, Max: math.MinInt32, Window: &durationpb.Duration{Seconds: math.MaxInt64}}}},
		{Ask: &pluginv1.HostLinkResponse_Slot{Slot: &pluginv1.Slot{Scope: "tenant", Key: "k", Max: math.MaxInt32}}},
		{Ask: &pluginv1.HostLinkResponse_Pick{Pick: &pluginv1.Pick{Keys: strings.Split(strings.Repeat("k,", 10_000), ",")}}},
		{Ask: &pluginv1.HostLinkResponse_Progress{Progress: &pluginv1.Progress{What: long, Until: &timestamppb.Timestamp{Seconds: math.MaxInt64}}}},
		{Ask: &pluginv1.HostLinkResponse_Log{Log: &pluginv1.Log{Level: long, Message: long + "\x1b[2J", Fields: fields}}},
	}
	for _, ask := range asks {
		ask.Token = r.token
		if r.IntN(4) == 0 {
			ask.Token = r.bytes(16)
		}
		if ask.GetCancel() == 0 {
			ask.Id = r.Uint64()
		}
		encoded, err := proto.Marshal(ask)
		if err != nil {
			return err
		}
		select {
		case r.asks <- encoded:
		case <-r.stream.Context().Done():
			return nil
		}
	}
	return r.put(raw{})
}
