package lake.logstore;

import io.delta.storage.S3SingleDriverLogStore;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.util.Arrays;
import java.util.Iterator;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.s3a.AWSServiceIOException;
import org.apache.hadoop.fs.s3a.RemoteFileChangedException;

/**
 * Delta commits as conditional PUTs (If-None-Match: *): safe for any number of drivers, without a lock service.
 *
 * <p>Delta's own S3SingleDriverLogStore lost 23 of 60 commits of two racing drivers: S3A's create(path, overwrite = false) looks first and
 * then writes. Here the server decides. Its answers: 200, the version is ours; 412, the version is there, and it is ours after all when its
 * bytes are (an earlier try got through and its answer was lost: commits carry a random txnId, so equal bytes are the same commit); 409, two
 * requests raced and neither may have won, ask again; anything else, look whether it arrived before giving up.
 */
public final class S3ConditionalPutLogStore extends S3SingleDriverLogStore {
  /** 50 ms doubling: 1.6 s before the last try. */
  private static final int CONFLICT_TRIES = 6;

  public S3ConditionalPutLogStore(Configuration conf) {
    super(conf);
  }

  @Override
  public void write(Path path, Iterator<String> actions, Boolean overwrite, Configuration conf) throws IOException {
    byte[] body = joined(actions);
    FileSystem fs = path.getFileSystem(conf);
    if (overwrite) {
      put(fs.create(path, true), body);
      return;
    }
    for (int attempt = 1; ; attempt++) {
      try {
        put(conditional(fs, path), body);
        return;
      } catch (RemoteFileChangedException | org.apache.hadoop.fs.FileAlreadyExistsException there) {
        if (holds(fs, path, body)) return;
        throw new FileAlreadyExistsException(path.toString());
      } catch (IOException failure) {
        if (holds(fs, path, body)) return;
        boolean conflict = failure instanceof AWSServiceIOException && ((AWSServiceIOException) failure).statusCode() == 409;
        if (!conflict || attempt == CONFLICT_TRIES) throw failure;
        pause(50L << (attempt - 1));
      }
    }
  }

  private static byte[] joined(Iterator<String> actions) throws IOException {
    ByteArrayOutputStream body = new ByteArrayOutputStream();
    while (actions.hasNext()) body.write((actions.next() + "\n").getBytes(StandardCharsets.UTF_8));
    return body.toByteArray();
  }

  private static FSDataOutputStream conditional(FileSystem fs, Path path) throws IOException {
    return (FSDataOutputStream)
        fs.createFile(path).create().recursive().overwrite(false).must("fs.option.create.conditional.overwrite", true).build();
  }

  private static void put(FSDataOutputStream out, byte[] body) throws IOException {
    try {
      out.write(body);
    } catch (Throwable failure) {
      out.abort(); // close() would publish half a commit
      throw failure;
    }
    out.close();
  }

  /** Whether these very bytes lie at the path; false when that cannot be found out, and then the first failure stands. */
  private static boolean holds(FileSystem fs, Path path, byte[] body) {
    try (FSDataInputStream in = fs.open(path)) {
      return Arrays.equals(body, in.readAllBytes());
    } catch (IOException unknown) {
      return false;
    }
  }

  private static void pause(long milliseconds) throws InterruptedIOException {
    try {
      Thread.sleep(milliseconds);
    } catch (InterruptedException stopped) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("stopped while waiting to commit again");
    }
  }
}
