package rest

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// marshaler reads and writes messages as the command line prints them: names in
// snake_case, numbers as numbers, and what is JSON within a message as that JSON. A
// stream is a line each.
type marshaler struct {
	document func(proto.Message) ([]byte, error)
}

var (
	_ runtime.Marshaler         = marshaler{}
	_ runtime.StreamContentType = marshaler{}
)

// ContentType is that of one answer.
func (marshaler) ContentType(any) string { return "application/json" }

// StreamContentType is that of a stream.
func (marshaler) StreamContentType(any) string { return "application/x-ndjson" }

// Marshal writes an answer, or one part of a stream.
func (m marshaler) Marshal(v any) ([]byte, error) {
	switch v := v.(type) {
	case proto.Message:
		return m.document(v)
	case map[string]any: // the runtime's wrapping of a part
		if part, ok := v["result"].(proto.Message); ok {
			return m.document(part)
		}
	case map[string]proto.Message: // of the error that ends a stream
		if s, ok := v["error"].(*spb.Status); ok {
			return json.Marshal(map[string]problem{"error": problemOf(status.FromProto(s).Err()).complete()})
		}
	}
	return nil, fmt.Errorf("write %T: it is no message", v)
}

// Unmarshal reads a message, or the field of one that v points to.
func (marshaler) Unmarshal(data []byte, v any) error {
	msg, ok := v.(proto.Message)
	if !ok {
		field := reflect.ValueOf(v)
		if field.Kind() != reflect.Pointer || field.Elem().Kind() != reflect.Pointer {
			return fmt.Errorf("read %T: it is no message", v)
		}
		made := reflect.New(field.Elem().Type().Elem())
		if msg, ok = reflect.TypeAssert[proto.Message](made); !ok {
			return fmt.Errorf("read %T: it is no message", v)
		}
		field.Elem().Set(made)
	}
	data, err := encodeJSON(msg.ProtoReflect().Descriptor(), data)
	if err != nil {
		return err
	}
	return protojson.Unmarshal(data, msg)
}

// NewDecoder returns what reads one message; io.EOF if there is nothing.
func (m marshaler) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(v any) error {
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if len(data) == 0 {
			return io.EOF
		}
		return m.Unmarshal(data, v)
	})
}

// NewEncoder returns what writes messages.
func (m marshaler) NewEncoder(w io.Writer) runtime.Encoder {
	return runtime.EncoderFunc(func(v any) error {
		data, err := m.Marshal(v)
		if err == nil {
			_, err = w.Write(data)
		}
		return err
	})
}

// eventStream is what a browser asks an EventSource with.
const eventStream = "text/event-stream"

// events writes a stream as server-sent events.
type events struct{ marshaler }

// StreamContentType is that of a stream.
func (events) StreamContentType(any) string { return eventStream }

// Delimiter ends an event.
func (events) Delimiter() []byte { return []byte("\n\n") }

// Marshal writes the data of an event.
func (e events) Marshal(v any) ([]byte, error) {
	if m, ok := v.(proto.Message); ok {
		return e.document(m) // of a method that is no stream
	}
	data, err := e.marshaler.Marshal(v)
	return append([]byte("data: "), data...), err
}
