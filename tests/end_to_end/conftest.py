"""Fixtures of the tests from end to end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ZONE = "America/New_York"  # the machine of these tests is not in UTC
_TRUSTING = "-XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"  # of Spark's own classes
_QUICK = f"-XX:-UsePerfData -XX:+UseSerialGC -XX:TieredStopAtLevel=1 {_TRUSTING}"  # a JVM for seconds of work


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Return a Spark session that listens on loopback only and leaves its files in a temporary folder."""
    if missing := _lacks_spark():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    from pyspark.sql import SparkSession

    aside = tmp_path_factory.mktemp("spark")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        patch.setenv("SPARK_LOCAL_DIRS", str(aside))
        patch.setenv("TZ", ZONE)
        patch.chdir(aside)
        builder = SparkSession.builder.master("local[1]")
        for name, value in {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.sql.warehouse.dir": str(aside / "warehouse"),
            "spark.driver.extraJavaOptions": f"-Djava.io.tmpdir={aside} {_QUICK}",
            "spark.sql.codegen.wholeStage": "false",
        }.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
    gateway = session.sparkContext._gateway
    yield session
    session.stop()
    gateway.shutdown()
    gateway.proc.stdin.close()  # at which the JVM ends
    gateway.proc.wait(60)


def _lacks_spark() -> str | None:
    try:
        import pyspark  # noqa: F401 - whether it is there is the question
    except ImportError:
        return "pyspark is not installed"
    home = os.environ.get("JAVA_HOME")
    if shutil.which("java", path=f"{home}/bin" if home else None):
        return None
    return "Java is not installed, which PySpark needs"
