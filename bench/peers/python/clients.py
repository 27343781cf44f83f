"""What a payment talks to. Connections are made when they are first needed, and kept as long as the object that holds them."""

from __future__ import annotations

import json
import os
from typing import Any

import boto3
import pymysql
from botocore.config import Config

CONFIG = Config(
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": 3},
    s3={"addressing_style": "path"},
)


class Ledger:
    """One connection, made again once if it broke: the same INSERT twice is harmless, its key is unique."""

    def __init__(self, credentials: dict[str, Any]) -> None:
        self._credentials = credentials
        self._connection = self._connect()

    def _connect(self) -> pymysql.connections.Connection:
        return pymysql.connect(
            host=self._credentials["host"],
            port=self._credentials["port"],
            user=self._credentials["username"],
            password=self._credentials["password"],
            database=self._credentials["dbname"],
            ssl_ca=os.environ["CA_BUNDLE"],
            autocommit=True,
            connect_timeout=3,
            read_timeout=4,
            write_timeout=4,
        )

    def execute(self, statement: str, parameters: tuple[Any, ...]) -> int:
        try:
            with self._connection.cursor() as cursor:
                return cursor.execute(statement, parameters)
        except (pymysql.err.InterfaceError, pymysql.err.OperationalError):
            self._connection = self._connect()
            with self._connection.cursor() as cursor:
                return cursor.execute(statement, parameters)

    def close(self) -> None:
        self._connection.close()


class Clients:
    def __init__(self) -> None:
        self.dynamodb = boto3.client("dynamodb", config=CONFIG)
        self.s3 = boto3.client("s3", config=CONFIG)
        self.secrets = boto3.client("secretsmanager", config=CONFIG)
        self._hash_key: bytes | None = None
        self._ledger: Ledger | None = None

    def hash_key(self) -> bytes:
        if self._hash_key is None:
            self._hash_key = bytes.fromhex(self._secret(os.environ["HASH_KEY_SECRET_ARN"]))
        return self._hash_key

    def ledger(self) -> Ledger:
        if self._ledger is None:
            self._ledger = Ledger(json.loads(self._secret(os.environ["DB_SECRET_ARN"])))
        return self._ledger

    def _secret(self, secret_id: str) -> str:
        return self.secrets.get_secret_value(SecretId=secret_id)["SecretString"]

    def close(self) -> None:
        if self._ledger is not None:
            self._ledger.close()
        for client in (self.dynamodb, self.s3, self.secrets):
            client.close()
