module github.com/tatami-platform/tatami/conformance

go 1.26.0

replace github.com/tatami-platform/tatami => ../

require github.com/tatami-platform/tatami v0.0.0-00010101000000-000000000000
