# Read by every Spark script before its JVM starts. A variable that is set already wins.
export SPARK_LOCAL_DIRS="${SPARK_LOCAL_DIRS:-{tmp}}"   # shuffle and spill: inside the checkout
export SPARK_LOCAL_IP="${SPARK_LOCAL_IP:-127.0.0.1}"   # nothing listens to the network; unset it for a cluster of several machines
export TZ=UTC
