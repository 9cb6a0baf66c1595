package config

import (
	"errors"
	"time"

	"github.com/jackfield/jackfield/host/internal/schedule"
	"github.com/jackfield/jackfield/store"
)

// cron reads a rule of five fields. It is refused beside every, when it is none,
// and when no time fits it.
func (l *loader) cron(o object) string {
	rule, ok := o.text("cron")
	if !ok {
		return ""
	}
	if o.has("every") {
		o.src.failAt(CodeBadValue, o.pair("cron").key, "keep one of them", "%s: every is given too", join(o.path, "cron"))
		return ""
	}
	if rule == "" {
		o.src.failAt(CodeBadValue, o.at("cron"), `minute, hour, day, month and weekday, such as "30 6 * * 1-5"`, "%s is empty", join(o.path, "cron"))
		return ""
	}
	if err := (schedule.Rule{Cron: rule}).Check(time.Now()); err != nil {
		o.failed("cron", err)
		return ""
	}
	return rule
}

// timezone reads the name of a time zone.
func (l *loader) timezone(o object) string {
	zone, ok := o.text("timezone")
	if !ok {
		return ""
	}
	err := schedule.Rule{Zone: zone}.Check(time.Now())
	if zone == "" {
		err = store.Hint(errors.New("it is empty"), "an IANA name such as Europe/Berlin or UTC")
	}
	if err != nil {
		o.failed("timezone", err)
		return ""
	}
	return zone
}

// failed reports what is wrong with the value of a key, with the cure that err
// knows.
func (o object) failed(key string, err error) {
	help := ""
	if h, ok := errors.AsType[*store.HintError](err); ok {
		err, help = h.Err, h.Hint
	}
	o.src.failAt(CodeBadValue, o.at(key), help, "%s: %s", join(o.path, key), err.Error())
}
