package kube

import (
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	helpers "k8s.io/component-helpers/resource"
)

// The priorities that every cluster has.
const (
	priorityClusterCritical = 2_000_000_000
	priorityNodeCritical    = 2_000_001_000
)

// fill does to a pod from a manifest what the API server would: limits become
// requests, limit ranges, classes of priority and runtime are applied.
func (inv *inventory) fill(namespace string, spec *corev1.PodSpec) {
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			r := &list[i].Resources
			r.Requests = fillFrom(r.Requests, r.Limits)
		}
	}
	if spec.Resources != nil {
		fillPod(spec)
	}
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			inv.limitRange(namespace, &list[i].Resources)
		}
	}
	if spec.RuntimeClassName != nil && spec.Overhead == nil {
		if class := inv.runtimes[*spec.RuntimeClassName]; class != nil {
			inv.runtime(spec)
		}
	}
	if spec.Priority == nil {
		spec.Priority = inv.priority(spec.PriorityClassName)
	}
}

// fillFrom adds the amounts of from that to does not name.
func fillFrom(to, from corev1.ResourceList) corev1.ResourceList {
	for name, q := range from {
		if _, given := to[name]; given {
			continue
		}
		if to == nil {
			to = corev1.ResourceList{}
		}
		to[name] = q.DeepCopy()
	}
	return to
}

// fillPod completes requests of the pod as a whole where it has limits: from
// its containers, and what none of them asks for from those limits.
func fillPod(spec *corev1.PodSpec) {
	if len(spec.Resources.Limits) == 0 {
		return
	}
	sum := helpers.AggregateContainerRequests(&corev1.Pod{Spec: *spec}, helpers.PodResourcesOptions{})
	maps.DeleteFunc(sum, func(name corev1.ResourceName, _ resource.Quantity) bool {
		return !helpers.IsSupportedPodLevelResource(name) || strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)
	})
	own := maps.Clone(spec.Resources.Limits)
	maps.DeleteFunc(own, func(name corev1.ResourceName, _ resource.Quantity) bool {
		return !helpers.IsSupportedPodLevelResource(name)
	})
	spec.Resources.Requests = fillFrom(fillFrom(spec.Resources.Requests, sum), own)
}

// limitRange applies a namespace's defaults to a container.
func (inv *inventory) limitRange(namespace string, r *corev1.ResourceRequirements) {
	for _, l := range inv.limits[namespace] {
		for i := range l.Spec.Limits {
			item := &l.Spec.Limits[i]
			if item.Type != corev1.LimitTypeContainer {
				continue
			}
			// A default that is not given follows from another one.
			limits := fillFrom(fillFrom(nil, item.Default), item.Max)
			wanted := fillFrom(fillFrom(fillFrom(nil, item.DefaultRequest), limits), item.Min)
			r.Requests = fillFrom(r.Requests, wanted)
			r.Limits = fillFrom(r.Limits, limits)
		}
	}
}

func (inv *inventory) runtime(spec *corev1.PodSpec) {
	class := inv.runtimes[*spec.RuntimeClassName]
	if class.Overhead != nil {
		spec.Overhead = class.Overhead.PodFixed
	}
	if class.Scheduling == nil {
		return
	}
	for key, value := range class.Scheduling.NodeSelector {
		if spec.NodeSelector == nil {
			spec.NodeSelector = map[string]string{}
		}
		spec.NodeSelector[key] = value
	}
	spec.Tolerations = append(spec.Tolerations, class.Scheduling.Tolerations...)
}

func (inv *inventory) priority(class string) *int32 {
	value := int32(0)
	switch class {
	case "system-cluster-critical":
		value = priorityClusterCritical
	case "system-node-critical":
		value = priorityNodeCritical
	case "":
		for _, name := range sortedKeys(inv.priorities) {
			if p := inv.priorities[name]; p.GlobalDefault {
				value = p.Value
			}
		}
	default:
		if p := inv.priorities[class]; p != nil {
			value = p.Value
		}
	}
	return &value
}
