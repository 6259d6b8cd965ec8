module github.com/tatami-platform/tatami/bench

go 1.26.0

replace github.com/tatami-platform/tatami => ../
