"""Buckets in templates: MiniStack drops encryption, lifecycle, ownership and tags, and does not tell a bucket's policy
which key a request names.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-s3-bucket.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from ministack.core import iam_actions
from ministack.services import s3
from ministack.services.cloudformation import provisioners

Properties = dict[str, Any]


def _encryption(declared: Properties) -> bytes:
    root = Element("ServerSideEncryptionConfiguration", xmlns=s3.S3_NS)
    for rule in declared["ServerSideEncryptionConfiguration"]:
        element = SubElement(root, "Rule")
        default = SubElement(element, "ApplyServerSideEncryptionByDefault")
        for name in ("SSEAlgorithm", "KMSMasterKeyID"):
            if name in rule.get("ServerSideEncryptionByDefault", {}):
                SubElement(default, name).text = str(rule["ServerSideEncryptionByDefault"][name])
        if "BucketKeyEnabled" in rule:
            SubElement(element, "BucketKeyEnabled").text = str(rule["BucketKeyEnabled"]).lower()
    return tostring(root)


def _within(parent: Element, tag: str, values: Properties) -> None:
    element = SubElement(parent, tag)
    for name, value in values.items():
        SubElement(element, name).text = str(value)


def _lifecycle_rule(root: Element, rule: Properties) -> None:
    element = SubElement(root, "Rule")
    if "Id" in rule:
        SubElement(element, "ID").text = rule["Id"]
    SubElement(element, "Status").text = rule["Status"]
    if "Prefix" in rule:
        _within(element, "Filter", {"Prefix": rule["Prefix"]})
    for transition in rule.get("Transitions", []):
        days = transition["TransitionInDays"]
        _within(element, "Transition", {"Days": days, "StorageClass": transition["StorageClass"]})
    if "ExpirationInDays" in rule:
        _within(element, "Expiration", {"Days": rule["ExpirationInDays"]})
    for tag in ("NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload"):
        if tag in rule:
            _within(element, tag, rule[tag])


def _lifecycle(declared: Properties) -> bytes:
    root = Element("LifecycleConfiguration")
    for rule in declared["Rules"]:
        _lifecycle_rule(root, rule)
    return tostring(root)


def _ownership(declared: Properties) -> bytes:
    root = Element("OwnershipControls", xmlns=s3.S3_NS)
    for rule in declared["Rules"]:
        _within(root, "Rule", {"ObjectOwnership": rule["ObjectOwnership"]})
    return tostring(root)


def _tags(declared: list[Properties]) -> bytes:
    root = Element("Tagging", xmlns=s3.S3_NS)
    tags = SubElement(root, "TagSet")
    for tag in declared:
        _within(tags, "Tag", {"Key": tag["Key"], "Value": tag["Value"]})
    return tostring(root)


def _put(call: Callable[[str, bytes], Any]) -> Callable[[str, bytes], None]:
    """One of MiniStack's calls, whose refusals fail the resource."""

    def put(name: str, body: bytes) -> None:
        status, _headers, answer = call(name, body)
        if status >= 400:
            raise ValueError(f"AWS::S3::Bucket {name}: {answer!r}")

    return put


def _with_named_key(original: Callable[..., Properties]) -> Callable[..., Properties]:
    header = "x-amz-server-side-encryption-aws-kms-key-id"

    def context(action: str, query: Properties, path: str, headers: Properties) -> Properties:
        found = original(action, query, path, headers)
        if action == "s3:PutObject" and headers.get(header):
            found[f"s3:{header}"] = headers[header]
        return found

    return context


def install() -> None:
    """Add the properties to those that MiniStack applies, and the key to what it evaluates policies with."""
    iam_actions._s3_object_context = _with_named_key(iam_actions._s3_object_context)
    for name, to_xml, put, delete in (
        ("BucketEncryption", _encryption, s3._put_bucket_encryption, s3._delete_bucket_encryption),
        ("LifecycleConfiguration", _lifecycle, s3._put_bucket_lifecycle, s3._delete_bucket_lifecycle),
        ("OwnershipControls", _ownership, s3._put_bucket_ownership_controls, s3._delete_bucket_ownership_controls),
        ("Tags", _tags, s3._put_bucket_tagging, s3._delete_bucket_tagging),
    ):
        provisioners._S3_BUCKET_CONFIGURATIONS += ((name, to_xml, _put(put), delete),)
