"""Clusters and their instances: encryption, zones, log exports, endpoints."""

from __future__ import annotations

import hashlib
from typing import Any

from ministack.core.responses import get_region
from ministack.services import rds
from ministack.services.cloudformation import provisioners

from cutover_cloud import control

Record = dict[str, Any]
STATUSES = ("available", "creating", "modifying", "backing-up", "failing-over", "upgrading", "stopped", "deleting")
PORT_MAX = 65_535

# What a lab said of a cluster, by region and identifier; it may say so before the cluster is made.
_told: dict[tuple[str, str], Record] = {}


def endpoint(cluster_id: str, role: str = "cluster") -> tuple[str, int | None]:
    """Host and port of a cluster: the lab's database, or a name of AWS's form that leads nowhere."""
    told = _told.get((get_region(), cluster_id), {})
    if told.get("host"):
        return told["host"], told["port"]
    digest = hashlib.sha256(f"{get_region()}/{cluster_id}".encode()).hexdigest()[:12]
    return f"{cluster_id}.{role}-{digest}.{get_region()}.rds.amazonaws.com", None


def shown_cluster(cluster: Record) -> Record:
    """The cluster as it is to be described."""
    name = cluster["DBClusterIdentifier"]
    host, port = endpoint(name)
    members = [rds._instances.get(member["DBInstanceIdentifier"]) or {} for member in cluster["DBClusterMembers"]]
    writers = [member["DBInstanceIdentifier"] for member in cluster["DBClusterMembers"]][:1]
    return cluster | {
        "Endpoint": host,
        "ReaderEndpoint": endpoint(name, "cluster-ro")[0],
        "Port": port or cluster["Port"],
        "Status": _told.get((get_region(), name), {}).get("status") or cluster["Status"],
        # Aurora says so as soon as its instances are in more than one zone.
        "MultiAZ": len({member.get("AvailabilityZone") for member in members} - {None}) > 1,
        # MiniStack makes each instance of a template a writer.
        "DBClusterMembers": [
            member | {"IsClusterWriter": member["DBInstanceIdentifier"] in writers}
            for member in cluster["DBClusterMembers"]
        ],
    }


def shown_instance(instance: Record) -> Record:
    """The instance as it is to be described: storage, key and version are its cluster's."""
    cluster = rds._clusters.get(instance.get("DBClusterIdentifier") or "")
    if cluster is None:
        return instance
    host, port = endpoint(cluster["DBClusterIdentifier"])
    address = instance["Endpoint"] if isinstance(instance.get("Endpoint"), dict) else {}
    named = host if port else f"{instance['DBInstanceIdentifier']}.{host.partition('.cluster-')[2]}"
    return instance | {
        "StorageEncrypted": cluster.get("StorageEncrypted", False),
        "KmsKeyId": cluster.get("KmsKeyId", ""),
        "EngineVersion": cluster["EngineVersion"],
        "Endpoint": address | {"Address": named, "Port": port or cluster["Port"]},
    }


def _exports_xml(record: Record) -> str:
    names = "".join(f"<member>{name}</member>" for name in record.get("EnabledCloudwatchLogsExports") or [])
    return f"<EnabledCloudwatchLogsExports>{names}</EnabledCloudwatchLogsExports>"


def _truth(value: Any) -> bool:
    return str(value).lower() == "true"


def complete(cluster: Record, props: Record) -> None:
    """What MiniStack does not keep of a template."""
    key = props.get("KmsKeyId") or ""
    if key and not key.startswith("arn:"):
        key = f"arn:aws:kms:{get_region()}:{cluster['DBClusterArn'].split(':')[4]}:key/{key}"
    cluster.update(
        KmsKeyId=key,
        StorageEncrypted=_truth(props.get("StorageEncrypted", False)),
        DBClusterParameterGroup=props.get("DBClusterParameterGroupName") or "",
        EnabledCloudwatchLogsExports=list(props.get("EnableCloudwatchLogsExports") or []),
    )
    # A declared cluster is available at once, as all is here.
    cluster.setdefault("DBClusterMembers", [])


def _declared() -> None:
    handlers = provisioners._RESOURCE_HANDLERS["AWS::RDS::DBCluster"]
    create, update, attributes = handlers["create"], handlers["update"], provisioners._rds_db_cluster_attrs

    def create_cluster(logical_id: str, props: Record, stack_name: str) -> Any:
        name, _attributes = create(logical_id, props, stack_name)
        complete(rds._clusters[name], props)
        return name, provisioners._rds_db_cluster_attrs(rds._clusters[name])

    def update_cluster(physical_id: str, old: Record, new: Record, stack_name: str, logical_id: Any = None) -> Any:
        name, _attributes = update(physical_id, old, new, stack_name, logical_id)
        complete(rds._clusters[name], new)
        return name, provisioners._rds_db_cluster_attrs(rds._clusters[name])

    def cluster_attributes(cluster: Record) -> Record:
        return attributes(shown_cluster(cluster))

    provisioners._rds_db_cluster_attrs = cluster_attributes
    handlers["create"], handlers["update"] = create_cluster, update_cluster


def _attached() -> None:
    """A secret that is attached to a cluster names the endpoint that the cluster is shown with."""
    connection = provisioners._sm_target_connection

    def shown_connection(target_type: str, target_id: str) -> Record:
        info = connection(target_type, target_id)
        if target_type != "AWS::RDS::DBCluster":
            return info
        host, port = endpoint(target_id)
        return info | {"host": host, "port": port or info["port"]}

    provisioners._sm_target_connection = shown_connection


def _tell(given: Record) -> Any:
    name = control.text(given, "cluster")
    told = dict(_told.get((get_region(), name), {}))
    if "host" in given or "port" in given:
        port = given.get("port")
        if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= PORT_MAX:
            raise control.Mistake("'port' is missing: a number from 1 to 65535, beside 'host'")
        told |= {"host": control.text(given, "host"), "port": port}
    if "status" in given:
        told["status"] = control.choice(given, "status", STATUSES)
    _told[get_region(), name] = told
    return {"cluster": name} | told


def install() -> None:
    """Complete what is declared and what is shown."""
    cluster_xml, instance_xml = rds._cluster_xml, rds._instance_xml

    def completed_cluster(cluster: Record) -> str:
        return cluster_xml(shown_cluster(cluster)) + _exports_xml(cluster)

    def completed_instance(instance: Record) -> str:
        return instance_xml(shown_instance(instance))

    create = rds._create_db_cluster

    def create_with_exports(params: Any) -> Any:
        response = create(params)
        cluster = rds._clusters.get(rds._p(params, "DBClusterIdentifier"))
        if response[0] == 200 and cluster is not None:
            cluster["EnabledCloudwatchLogsExports"] = rds._parse_member_list(params, "EnableCloudwatchLogsExports")
        return response

    rds._cluster_xml, rds._instance_xml = completed_cluster, completed_instance
    for table in (value for value in vars(rds).values() if isinstance(value, dict)):
        if table.get("CreateDBCluster") is create:
            table["CreateDBCluster"] = create_with_exports
    rds._create_db_cluster = create_with_exports
    _declared()
    _attached()
    control.register("database", _tell)
